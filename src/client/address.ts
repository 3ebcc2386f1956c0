/**
 * Where a server is: `millrace://host:port` or { host, port }. Pure.
 */

/** The port servers listen on and clients try when none is given. */
export const portDefault = 7379;
export const hostDefault = '127.0.0.1';

export interface Address {
	readonly host: string;
	readonly port: number;
}

/**
 * @param target `millrace://host[:port]`, IPv6 hosts in brackets, or { host, port }
 * @throws TypeError when it is neither
 */
export function parseAddress(target: string | { host?: string; port?: number }): Address {
	if (typeof target === 'string') return parseUrl(target);
	if (typeof target !== 'object' || target === null) {
		throw new TypeError('the address to connect to is a millrace:// URL or { host, port }');
	}
	return { host: target.host ?? hostDefault, port: mustPort(target.port ?? portDefault) };
}

function parseUrl(text: string): Address {
	let url: URL;
	try {
		url = new URL(text);
	} catch {
		throw new TypeError(`'${text}' is not a URL like millrace://127.0.0.1:${portDefault}`);
	}
	if (url.protocol !== 'millrace:') {
		throw new TypeError(`'${text}' does not start with millrace://`);
	}
	if (url.hostname === '' || url.username !== '' || url.password !== '') {
		throw new TypeError(`'${text}' is not a URL like millrace://127.0.0.1:${portDefault}`);
	}
	if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
		throw new TypeError(`'${text}' has a path, query or fragment, which mean nothing here`);
	}
	const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
	return { host, port: url.port === '' ? portDefault : mustPort(Number(url.port)) };
}

function mustPort(port: number): number {
	if (!Number.isInteger(port) || port < 1 || port > 65_535) {
		throw new TypeError(`a port is an integer from 1 to 65535, not ${port}`);
	}
	return port;
}

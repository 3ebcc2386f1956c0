/**
 * Many idle clients in a process of their own, because both ends of 10,000 connections would not fit one process's limit
 * of open files. Arguments: port, count. Connects them all, waits until the key `crowd` says leave, then every one of
 * them sends a PING and must be answered.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RawConnection } from './raw-connection.js';

/** Connections opened at a time: fewer than a listener's backlog. */
const batchCount = 200;

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);

const crowd: RawConnection[] = [];
while (crowd.length < count) {
	const batch = Array.from({ length: Math.min(batchCount, count - crowd.length) }, () => RawConnection.open(port));
	crowd.push(...(await Promise.all(batch)));
}
while (String(await crowd[0].command('GET', 'crowd')) !== 'leave') await sleep(20);
let answeredCount = 0;
for (let start = 0; start < count; start += batchCount) {
	const replies = await Promise.all(crowd.slice(start, start + batchCount).map((raw) => raw.command('PING')));
	answeredCount += replies.filter((reply) => reply === 'PONG').length;
}
process.stdout.write(`${count} connected, ${answeredCount} answered\n`);
process.exit(0);

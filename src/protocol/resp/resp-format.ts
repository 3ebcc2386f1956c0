/**
 * The bytes of RESP2 and of inline commands, as written on docs/formats/resp.md: used by parser and writer.
 *
 *   request    *<count>\r\n  then count times  $<size>\r\n<bytes>\r\n         (an array of bulk strings)
 *   inline     word word "quoted \x41\n" 'quoted \''\n                        (any line that does not start with '*')
 *   reply      +text\r\n | -WORD text\r\n | :<integer>\r\n | $<size>\r\n<bytes>\r\n | $-1\r\n | *<count>\r\n...
 */

export const byteCarriageReturn = 0x0d;
export const byteLineFeed = 0x0a;
export const byteSpace = 0x20;
export const byteTab = 0x09;
export const byteStar = 0x2a;
export const byteDollar = 0x24;
export const byteMinus = 0x2d;
export const bytePlus = 0x2b;
export const byteColon = 0x3a;
export const byteZero = 0x30;
export const byteNine = 0x39;
export const byteDoubleQuote = 0x22;
export const byteSingleQuote = 0x27;
export const byteBackslash = 0x5c;

/** Digits of the longest count or size accepted in a request header; longer ones are over every limit anyway. */
export const headerDigitCountMax = 10;
/** Most bytes a reply has around its payload: sign, decimal size, two line ends. */
export const replyOverheadMax = 32;

export const replyOk = Buffer.from('+OK\r\n', 'latin1');
export const replyPong = Buffer.from('+PONG\r\n', 'latin1');
export const replyNil = Buffer.from('$-1\r\n', 'latin1');
export const replyZero = Buffer.from(':0\r\n', 'latin1');
export const replyOne = Buffer.from(':1\r\n', 'latin1');
export const replyEmptyArray = Buffer.from('*0\r\n', 'latin1');

// --- errors: the text after '-', as Redis words them ----------------------------------------------

export const errorSyntax = 'ERR syntax error';
export const errorNotInteger = 'ERR value is not an integer or out of range';
export const errorOverflow = 'ERR increment or decrement would overflow';
export const errorDecrementOverflow = 'ERR decrement would overflow';
export const errorDatabaseIndex = 'ERR DB index is out of range';
export const errorNoProtocol = 'NOPROTO unsupported protocol version';

export const protocolErrorMultibulk = 'invalid multibulk length';
export const protocolErrorBulk = 'invalid bulk length';
export const protocolErrorBulkEnd = 'bulk string is not ended by CRLF';
export const protocolErrorInlineSize = 'too big inline request';
export const protocolErrorQuotes = 'unbalanced quotes in request';
export const protocolErrorCommandSize = 'too big command';

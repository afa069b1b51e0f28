// For tests: parts of messages that are mostly valid, and now and then broken in one of the ways in which two readers of
// HTTP/1 may disagree.
import fc from "fast-check";

/** Mostly the first of them, so that a whole request often comes out valid but for one or two places. */
export const mostly = (usual: string, ...others: string[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

export const eol = mostly("\r\n", "\n", "\r", "\r\r\n", " \r\n", "\r\n ", "\r\n\t", "");
export const space = mostly(" ", "  ", "\t", "", "\x0b");
const colon = mostly(": ", ":", " : ", "\t:", ":\t", ": \t ", "", ":\x0b", ":\0", "::");
export const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "get", "");
export const target = mostly(
  "/a?b",
  "*",
  "http://h/",
  "/\x7f",
  "/ ",
  "",
  "/\xe4",
  "/#f",
  "a",
  "/\x00",
  "//",
  '/{}|^"<>\\',
);
export const version = mostly(
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "http/1.1",
  "HTTP/1.1x",
  "HTTP/11",
  "",
);
const name = fc.constantFrom(
  "X-A",
  "x!#$%&'*+.^_`|~",
  "Cookie",
  "A(",
  "A B",
  "",
  "\xe4",
  "Content-Typ\0",
  "Accept",
);
const value = fc.constantFrom(
  "1",
  "",
  " a ",
  "a\tb",
  "\xe4\xff",
  "a\x01",
  "a\x7fb",
  "a:b",
  '"q"',
  "a\0",
  "x".repeat(99),
);
export const plain = fc.tuple(name, colon, value, eol).map((parts) => parts.join(""));
const framing = fc
  .tuple(
    fc.constantFrom(
      "Content-Length",
      "content-length",
      "Transfer-Encoding",
      "Connection",
      "Expect",
      "Host",
      "Upgrade",
    ),
    colon,
    fc
      .constantFrom(
        "5",
        "05",
        "0",
        "+5",
        "5, 5",
        "0x5",
        "5 ",
        "",
        "chunked",
        "Chunked",
        "gzip, chunked",
        "identity",
      )
      .chain((one) =>
        mostly(
          one,
          "close",
          "keep-alive",
          "upgrade",
          "100-continue",
          "chunked, chunked",
          "99999999999999999999",
        ),
      ),
    eol,
  )
  .map((parts) => parts.join(""));
export const framed = fc.oneof(
  fc.constantFrom("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\n", ""),
  framing,
);
const sized = mostly(
  "5",
  "05",
  "5;a=b",
  '5;a="b\\""',
  "5 ",
  "5;",
  "5; a",
  "5;a=",
  "0x5",
  "-5",
  "6",
  "4",
  "",
  "5;a b",
  "5;\0",
);
const chunkedBody = fc
  .tuple(
    sized,
    eol,
    fc.constant("hello"),
    eol,
    mostly("0", "00", "", "0;x"),
    eol,
    mostly("", "T: 1\r\n", "T : 1\r\n", ": 1\r\n", "T: \0\r\n", " T: 1\r\n"),
    eol,
  )
  .map((parts) => parts.join(""));
export const body = fc.oneof(fc.constantFrom("hello", ""), chunkedBody);

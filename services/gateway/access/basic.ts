// User and password (RFC 7617), in UTF-8.
import type { BasicAccess, PasswordHash } from "@evenkeel/core/config/resolve-access.ts";
import { afterScheme, credentialOf, unauthorized, unavailable } from "./credentials.ts";
import type { Passwords, PasswordVerdict } from "./passwords.ts";
import { LATER, type Row, type Turn } from "./turn.ts";

const BUSY = unavailable("Too many passwords are being checked; try again");

export function compileBasic({ realm, users }: BasicAccess, passwords: Passwords, onBusy: () => void): Row {
  const challenge = `Basic realm="${realm}", charset="UTF-8"`;
  const missing = unauthorized("User and password are needed", challenge);
  const wrong = unauthorized("User and password do not fit together", challenge);
  const hashes = new Map<string, PasswordHash>(users.map(({ name, hash }) => [name, hash]));
  // An unknown user takes as long as a known one, so that nobody learns which there are.
  const decoy = (users.find(({ hash }) => hash.kind === "scrypt") ?? users[0])?.hash;

  const verdictOf = (turn: Turn, user: string, known: boolean, fits: PasswordVerdict) => {
    if (fits === "busy") {
      onBusy();
      return BUSY;
    }
    if (!fits || !known) return wrong;
    turn.identify("user", user);
    return null;
  };

  return {
    name: "basic",
    check(turn) {
      const value = credentialOf(turn.request.head.fields, "authorization");
      if (value === null) return missing;
      const login = parseLogin(value);
      if (login === null) return wrong;
      const { user, password } = login;
      const own = hashes.get(user);
      const hash = own ?? decoy;
      if (hash === undefined) return wrong;
      const known = own !== undefined;
      const fits = passwords.verify(user, password, hash, (later) =>
        turn.resume(verdictOf(turn, user, known, later)),
      );
      return fits === LATER ? LATER : verdictOf(turn, user, known, fits);
    },
  };
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The password may hold colons, the user cannot. */
export function parseLogin(value: string): { user: string; password: string } | null {
  const encoded = afterScheme(value, "basic");
  if (encoded === null || !BASE64.test(encoded)) return null;
  let text: string;
  try {
    text = utf8.decode(Buffer.from(encoded, "base64"));
  } catch {
    return null;
  }
  const colon = text.indexOf(":");
  if (colon === -1 || CONTROL.test(text)) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

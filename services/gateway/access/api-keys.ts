// Keys that clients send in a header. Only hashes are known here; what is compared is hashes, in constant time.
import { hash, timingSafeEqual } from "node:crypto";
import type { ApiKeyAccess } from "@evenkeel/core/config/resolve-access.ts";
import { credentialOf, unauthorized } from "./credentials.ts";
import type { Row } from "./turn.ts";

interface Key {
  name: string;
  digest: Buffer;
}

export function compileApiKeys({ header, keys }: ApiKeyAccess): Row {
  const byStart = new Map<number, Key[]>();
  for (const { name, sha256 } of keys) {
    const digest = Buffer.from(sha256, "hex");
    const start = digest.readUInt32BE(0);
    byStart.set(start, [...(byStart.get(start) ?? []), { name, digest }]);
  }
  const challenge = `ApiKey header="${header}"`;
  const missing = unauthorized("An API key is needed", challenge);
  const wrong = unauthorized("The API key is not valid", challenge);

  return {
    name: "api-key",
    check(turn) {
      const key = credentialOf(turn.request.head.fields, header);
      if (key === null) return missing;
      if (key === "") return wrong;
      const digest = hash("sha256", Buffer.from(key, "latin1"), "buffer");
      // How long this takes tells at most the first 32 bits of a hash, from which no key can be found.
      const found = byStart.get(digest.readUInt32BE(0))?.find((one) => timingSafeEqual(one.digest, digest));
      if (found === undefined) return wrong;
      turn.identify("key", found.name);
      return null;
    },
  };
}

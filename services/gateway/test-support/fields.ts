// Header fields for tests, written as an object.
import type { Fields } from "../messages/fields.ts";

export const fieldsFrom = (headers: Record<string, string>): Fields =>
  Object.entries(headers).flatMap(([name, value]) => [name, name.toLowerCase(), value]);

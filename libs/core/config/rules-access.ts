import type { Rule } from "./rule.ts";

export const ACCESS_RULES: Record<string, Rule> = {};

import type { Rule } from "./rule.ts";

export const LISTENER_RULES: Record<string, Rule> = {};

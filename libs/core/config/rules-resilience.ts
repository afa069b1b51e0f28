import type { Rule } from "./rule.ts";

export const RESILIENCE_RULES: Record<string, Rule> = {};

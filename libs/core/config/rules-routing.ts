import type { Rule } from "./rule.ts";

export const ROUTING_RULES: Record<string, Rule> = {};

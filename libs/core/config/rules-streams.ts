import type { Rule } from "./rule.ts";

export const STREAM_RULES: Record<string, Rule> = {};

// Who may use a route, and how often.
export const ACCESS_FIELDS = {} as const;

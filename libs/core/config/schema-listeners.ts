// What an HTTP listener offers beside its address: TLS, HTTP/2, and the limits that protect it.
export const LISTENER_FIELDS = {} as const;

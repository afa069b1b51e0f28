// What listeners offer below HTTP: the PROXY protocol, TCP, UDP.
export const STREAM_LISTENER_FIELDS = {} as const;

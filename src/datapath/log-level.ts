/** Levels of the kernel log (syslog.h) at which the kernel writes of packets by itself. */
export const LogLevel = { error: 3, warning: 4, notice: 5, info: 6 } as const;

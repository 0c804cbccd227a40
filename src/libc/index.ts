/** Sockets and kernel interfaces by FFI, behind ports of the subsystems. This is what `#libc` exports, nothing else. */

export { createSocketPort } from './socket.ts';
export { openNetlinkBackend } from './netlink-backend.ts';

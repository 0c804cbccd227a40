// What the CLI may use of the lab.
export { LabApiError } from './client.ts';
export { type Progress, LabError, labDown, labUp } from './lab.ts';
export { LabTimeoutError, signalProcess } from './processes.ts';
export { removeNode } from './nodes.ts';
export { addPod, deletePod } from './pods.ts';
export { HostError } from './preflight.ts';
export { execIn } from './exec.ts';
export { labPaths, listLabs, readPods } from './state.ts';
export { type HostStatus, type LabStatus, labStatus } from './status.ts';

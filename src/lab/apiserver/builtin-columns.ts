/**
 * The columns of the built-in kinds in `kubectl get` (pkg/printers/internalversion of Kubernetes), reduced to what their
 * objects hold here: no init containers, no sidecars, no readiness gates. Pure.
 */
import { ageOf } from './age.ts';
import {
  arrayField,
  asJson,
  isJsonObject,
  type JsonObject,
  type KubeObject,
  objectField,
  textField,
} from './objects.ts';
import { ageColumn, type ColumnDefinition, nameColumn, type TableShape } from './columns.ts';

function column(name: string, description: string, priority = 0): ColumnDefinition {
  return { name, type: 'string', format: '', description, priority };
}

const age: ColumnDefinition = { ...ageColumn, type: 'string' };

/** The table of a built-in kind; undefined for those that show name and age. */
export function builtInTable(kind: string): TableShape | undefined {
  return tables[kind];
}

const tables: Readonly<Record<string, TableShape>> = {
  Node: {
    columns: [
      nameColumn,
      column('Status', 'The status of the node'),
      column('Roles', 'The roles of the node'),
      age,
      column('Version', 'Kubelet Version reported by the node.'),
      column('Internal-IP', 'List of addresses reachable to the node.', 1),
      column('External-IP', 'List of addresses reachable to the node.', 1),
      column('OS-Image', 'OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).', 1),
      column('Kernel-Version', "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).", 1),
      column('Container-Runtime', 'ContainerRuntime Version reported by the node through runtime remote API.', 1),
    ],
    cells: nodeCells,
  },
  Pod: {
    columns: [
      nameColumn,
      column('Ready', 'The aggregate readiness state of this pod for accepting traffic.'),
      column('Status', 'The aggregate status of the containers in this pod.'),
      column('Restarts', 'The number of times the containers in this pod have been restarted.'),
      age,
      column('IP', 'podIP address allocated to the pod.', 1),
      column('Node', 'NodeName indicates in which node this pod is scheduled.', 1),
      column('Nominated Node', 'nominatedNodeName is set only when this pod preempts other pods on the node.', 1),
      column('Readiness Gates', 'If specified, all readiness gates will be evaluated for pod readiness.', 1),
    ],
    cells: podCells,
  },
  Namespace: {
    columns: [nameColumn, column('Status', 'The status of the namespace'), age],
    cells: (object, now) => [object.metadata.name, status(object)?.['phase'] ?? '', ageOfObject(object, now)],
  },
  Secret: {
    columns: [
      nameColumn,
      column('Type', 'Used to facilitate programmatic handling of secret data.'),
      column('Data', 'Data contains the secret data.'),
      age,
    ],
    cells: (object, now) => [
      object.metadata.name,
      textField(asJson(object), 'type') ?? '',
      Object.keys(objectField(asJson(object), 'data') ?? {}).length,
      ageOfObject(object, now),
    ],
  },
  ConfigMap: {
    columns: [nameColumn, column('Data', 'Data contains the configuration data.'), age],
    cells: (object, now) => [object.metadata.name, configMapSize(object), ageOfObject(object, now)],
  },
  Lease: {
    columns: [
      nameColumn,
      column('Holder', 'holderIdentity contains the identity of the holder of a current lease.'),
      age,
    ],
    cells: (object, now) => [
      object.metadata.name,
      textField(objectField(asJson(object), 'spec'), 'holderIdentity') ?? '',
      ageOfObject(object, now),
    ],
  },
  Event: {
    columns: [
      column('Last Seen', 'The time at which the most recent occurrence of this event was recorded.'),
      column('Type', 'Type of this event (Normal, Warning), new types could be added in the future'),
      column('Reason', "The reason for the transition into the object's current status."),
      column('Object', 'The object that this event is about.'),
      column('Subobject', 'The part of the object that this event is about.', 1),
      column('Source', 'The component reporting this event. Should be a short machine understandable string.', 1),
      column('Message', 'A human-readable description of the status of this operation.'),
      column(
        'First Seen',
        'The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)',
        1,
      ),
      column('Count', 'The number of times this event has occurred.', 1),
      { ...nameColumn, priority: 1 },
    ],
    cells: eventCells,
  },
};

function status(object: KubeObject): JsonObject | undefined {
  return objectField(asJson(object), 'status');
}

function ageOfObject(object: KubeObject, now: number): string {
  return ageOf(object.metadata.creationTimestamp, now);
}

function configMapSize(object: KubeObject): number {
  const sizes = ['data', 'binaryData'].map((field) => Object.keys(objectField(asJson(object), field) ?? {}).length);
  return sizes.reduce((sum, size) => sum + size, 0);
}

function nodeCells(object: KubeObject, now: number): readonly unknown[] {
  const info = objectField(status(object), 'nodeInfo');
  const reported = (field: string): string => textField(info, field) || '<unknown>';
  return [
    object.metadata.name,
    nodeStatus(object),
    nodeRoles(object),
    ageOfObject(object, now),
    textField(info, 'kubeletVersion') ?? '',
    nodeAddress(object, 'InternalIP'),
    nodeAddress(object, 'ExternalIP'),
    reported('osImage'),
    reported('kernelVersion'),
    reported('containerRuntimeVersion'),
  ];
}

function nodeStatus(object: KubeObject): string {
  const ready = arrayField(status(object), 'conditions').find((item) => isJsonObject(item) && item['type'] === 'Ready');
  const state = !isJsonObject(ready) ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
  const isCordoned = objectField(asJson(object), 'spec')?.['unschedulable'] === true;
  return isCordoned ? `${state},SchedulingDisabled` : state;
}

function nodeRoles(object: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(object.metadata.labels ?? {})
    .filter((label) => label.startsWith(prefix))
    .map((label) => label.slice(prefix.length));
  return roles.length === 0 ? '<none>' : roles.sort().join(',');
}

function nodeAddress(object: KubeObject, type: string): string {
  const found = arrayField(status(object), 'addresses').find((item) => isJsonObject(item) && item['type'] === type);
  return (isJsonObject(found) ? textField(found, 'address') : undefined) ?? '<none>';
}

function podCells(object: KubeObject, now: number): readonly unknown[] {
  const spec = objectField(asJson(object), 'spec');
  const containers = arrayField(status(object), 'containerStatuses').filter(isJsonObject);
  const ready = containers.filter((container) => container['ready'] === true).length;
  const restarts = containers.reduce((sum, container) => sum + Number(container['restartCount'] ?? 0), 0);
  const phase = textField(status(object), 'phase') ?? '';
  return [
    object.metadata.name,
    `${ready}/${arrayField(spec, 'containers').length}`,
    object.metadata.deletionTimestamp === undefined ? phase : 'Terminating',
    String(restarts),
    ageOfObject(object, now),
    textField(status(object), 'podIP') ?? '<none>',
    textField(spec, 'nodeName') ?? '<none>',
    '<none>',
    '<none>',
  ];
}

function eventCells(object: KubeObject, now: number): readonly unknown[] {
  const event = asJson(object);
  const about = objectField(event, 'involvedObject');
  const source = objectField(event, 'source');
  const component = textField(source, 'component') ?? textField(event, 'reportingComponent') ?? '';
  const host = textField(source, 'host') ?? textField(event, 'reportingInstance');
  const first =
    textField(event, 'firstTimestamp') ?? textField(event, 'eventTime') ?? object.metadata.creationTimestamp;
  const last = textField(event, 'lastTimestamp') ?? first;
  return [
    ageOf(last, now),
    textField(event, 'type') ?? '',
    textField(event, 'reason') ?? '',
    `${(textField(about, 'kind') ?? '').toLowerCase()}/${textField(about, 'name') ?? ''}`,
    textField(about, 'fieldPath') ?? '',
    host === undefined || host === '' ? component : `${component}, ${host}`,
    (textField(event, 'message') ?? '').trim(),
    ageOf(first, now),
    event['count'] ?? 1,
    object.metadata.name,
  ];
}

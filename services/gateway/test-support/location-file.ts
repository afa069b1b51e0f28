// Writes a file of locations in MaxMind's format (version 2.0): a binary tree of address bits over a section of typed
// values, then metadata. Only what a test needs of it: IPv4 networks, latitude and longitude, 32-bit records.

export interface Located {
  /** IPv4 */
  cidr: string;
  latitude: number;
  longitude: number;
}

const RECORD_BITS = 32;
/** Between tree and data. */
const SEPARATOR = Buffer.alloc(16);
const METADATA_START = Buffer.concat([Buffer.from([0xab, 0xcd, 0xef]), Buffer.from("MaxMind.com")]);
const TYPE = { string: 2, double: 3, uint32: 6, map: 7, uint64: 9, array: 11 } as const;

type Node = [Node | number | null, Node | number | null];

/** The content of an .mmdb file; the networks must not overlap. */
export function locationFile(entries: readonly Located[]): Buffer {
  const root: Node = [null, null];
  const values: Buffer[] = [];
  let dataBytes = 0;
  for (const { cidr, latitude, longitude } of entries) {
    insert(root, cidr, dataBytes);
    const value = map({ location: map({ latitude: double(latitude), longitude: double(longitude) }) });
    values.push(value);
    dataBytes += value.length;
  }
  const nodes = nodesOf(root);
  return Buffer.concat([tree(nodes), SEPARATOR, ...values, METADATA_START, metadata(nodes.length)]);
}

function insert(root: Node, cidr: string, offset: number): void {
  const [address = "", length] = cidr.split("/");
  const bits = address
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
  let node = root;
  for (let depth = 0; depth < Number(length); depth += 1) {
    const bit = Number(bits[depth]) as 0 | 1;
    if (depth === Number(length) - 1) node[bit] = offset;
    else {
      const next = node[bit] ?? [null, null];
      node[bit] = next;
      node = next as Node;
    }
  }
}

function nodesOf(root: Node): Node[] {
  const nodes = [root];
  for (const node of nodes) for (const next of node) if (Array.isArray(next)) nodes.push(next);
  return nodes;
}

/** A record is a node's number, the number of nodes for nothing, or beyond it a place in the data. */
function tree(nodes: Node[]): Buffer {
  const numbers = new Map(nodes.map((node, i) => [node, i]));
  const records = Buffer.alloc(nodes.length * 8);
  const recordOf = (to: Node | number | null) => {
    if (to === null) return nodes.length;
    return Array.isArray(to) ? (numbers.get(to) as number) : nodes.length + SEPARATOR.length + to;
  };
  nodes.flat().forEach((_, i) => {
    records.writeUInt32BE(recordOf((nodes[i >> 1] as Node)[(i & 1) as 0 | 1]), i * 4);
  });
  return records;
}

const metadata = (nodeCount: number): Buffer =>
  map({
    node_count: whole(TYPE.uint32, nodeCount),
    record_size: whole(TYPE.uint32, RECORD_BITS),
    ip_version: whole(TYPE.uint32, 4),
    database_type: text("Test-City"),
    languages: control(TYPE.array, 0),
    binary_format_major_version: whole(TYPE.uint32, 2),
    binary_format_minor_version: whole(TYPE.uint32, 0),
    build_epoch: whole(TYPE.uint64, 1_700_000_000),
    description: map({}),
  });

/** Type and size; types from 8 up take a second byte. Sizes here stay below 29. */
const control = (type: number, size: number): Buffer =>
  type < 8 ? Buffer.from([(type << 5) | size]) : Buffer.from([size, type - 7]);

const map = (fields: Record<string, Buffer>): Buffer =>
  Buffer.concat([
    control(TYPE.map, Object.keys(fields).length),
    ...Object.entries(fields).flatMap(([name, value]) => [text(name), value]),
  ]);

const text = (value: string): Buffer =>
  Buffer.concat([control(TYPE.string, value.length), Buffer.from(value)]);

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Buffer.concat([control(TYPE.double, 8), bytes]);
}

function whole(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return Buffer.concat([control(type, 4), bytes]);
}

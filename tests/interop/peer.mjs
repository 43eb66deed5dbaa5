// Drives the npm package for the Python tests: one JSON request per line on stdin, one JSON reply per line
// on stdout, in the order in which they finish. Ends when stdin does.
//
//   {"id": 7, "method": "queryWithCache", "args": [...]}
//   {"id": 7, "result": ...}   or   {"id": 7, "error": {"name": ..., "message": ...}}
//
// What JSON cannot hold is tagged, both ways: {"$": "Date", "iso": ...}, {"$": "Buffer", "hex": ...},
// {"$": "undefined"}, {"$": "number", "v": "NaN" | "Infinity" | "-Infinity" | "-0"}, {"$": "bigint", "v": ...};
// an object with a "$" of its own is {"$": "object", "v": {...}}. So Python sees exactly what npm's users get.
import { createInterface } from 'node:readline';
import { MRCClient, MRCServer } from '@actvalue/mysql-redis-cache';

const CALL_TIMEOUT_MS = 10_000;

console.log = console.error; // the npm package logs its Redis errors to stdout, which carries the replies

function tagNumber(value) {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return { $: 'number', v: Object.is(value, -0) ? '-0' : String(value) };
}

function tag(value) {
  if (value === undefined) return { $: 'undefined' };
  if (typeof value === 'number') return tagNumber(value);
  if (typeof value === 'bigint') return { $: 'bigint', v: String(value) };
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return { $: 'Date', iso: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  if (Buffer.isBuffer(value)) return { $: 'Buffer', hex: value.toString('hex') };
  if (Array.isArray(value)) return value.map(tag);
  const tagged = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, tag(part)]));
  return '$' in value ? { $: 'object', v: tagged } : tagged;
}

function untagObject(value) {
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, untag(part)]));
}

const UNTAG = {
  undefined: () => undefined,
  number: ({ v }) => Number(v),
  bigint: ({ v }) => BigInt(v),
  Date: ({ iso }) => new Date(iso ?? NaN),
  Buffer: ({ hex }) => Buffer.from(hex, 'hex'),
  object: ({ v }) => untagObject(v),
};

function untag(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(untag);
  return '$' in value ? UNTAG[value.$](value) : untagObject(value);
}

let client = new MRCClient({}); // enough for keys, which need no server
let server;

const METHODS = {
  connect(mysqlConfig, redisConfig) {
    client = new MRCClient(mysqlConfig, redisConfig);
    server = new MRCServer(redisConfig);
  },
  async disconnect() {
    await Promise.all([client?.mysqlPool?.end(), client?.closeRedisConnection(), server?.closeRedisConnection()]);
    client = server = undefined;
  },
  queryToPromise: (...args) => client.queryToPromise(...args),
  queryWithCache: (...args) => client.queryWithCache(...args),
  readFromCache: (...args) => client.readFromCache(...args),
  writeToCache: (...args) => client.writeToCache(...args),
  getKeyFromQuery: (...args) => client.getKeyFromQuery(...args),
  dropOutdatedCache: (...args) => server.dropOutdatedCache(...args),
  // The function of withCache cannot travel: its result does, and the reply says how often it ran.
  async withCache(result, ...args) {
    let runs = 0;
    const value = await client.withCache(async () => ((runs += 1), result), ...args);
    return { value, runs };
  },
  versions: () => ({ node: process.versions.node }),
};

async function bounded(method, args) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, CALL_TIMEOUT_MS, new Error(`${method} did not answer within ${CALL_TIMEOUT_MS} ms`));
  });
  try {
    return await Promise.race([METHODS[method](...args), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function outcome({ method, args }) {
  if (method === 'batch') return { result: await inTurn(args) };
  try {
    return { result: tag(await bounded(method, untag(args))) };
  } catch (error) {
    return { error: { name: error.name, message: error.message } };
  }
}

// Many calls in one line, one after the other: for tests that compare hundreds of values.
async function inTurn(calls) {
  const outcomes = [];
  for (const call of calls) outcomes.push(await outcome(call));
  return outcomes;
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const request = JSON.parse(line);
    process.stdout.write(`${JSON.stringify({ id: request.id, ...(await outcome(request)) })}\n`);
  })
  .on('close', () => process.exit(0));

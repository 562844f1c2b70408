// Workers, files, names, sockets, children and the pool of threads: what node does beside its loop.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const dns = require('dns').promises;
const fs = require('fs').promises;
const net = require('net');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { promisify } = require('util');
const { execFile } = require('child_process');

async function inWorkers() {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const sums = await Promise.all([1, 2, 3, 4].map((number) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { number, shared } });
    worker.once('message', resolve);
    worker.once('error', reject);
  })));
  console.log('workers:', sums, Atomics.load(shared, 0));
}

function work() {
  let sum = 0;
  for (let i = 0; i < 100000; i++) sum += i % workerData.number;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  Atomics.add(workerData.shared, 0, workerData.number);
  parentPort.postMessage(sum);
}

async function inFiles() {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'node-'));
  const names = [...Array(30).keys()].map((number) => path.join(folder, `file${number}`));
  await Promise.all(names.map((name, number) => fs.writeFile(name, 'line\n'.repeat(number))));
  const sizes = await Promise.all(names.map(async (name) => (await fs.readFile(name)).length));
  console.log('files:', (await fs.readdir(folder)).length, sizes.reduce((a, b) => a + b));
  await fs.rm(folder, { recursive: true });
}

async function inThePool() {
  const keys = await Promise.all([1, 2, 3, 4, 5, 6].map((number) =>
    promisify(crypto.pbkdf2)('password', `salt ${number}`, 2000, 8, 'sha256')));
  console.log('keys:', keys.map((key) => key.toString('hex')));
  const text = Buffer.from('again and again '.repeat(5000));
  const round = await promisify(zlib.gunzip)(await promisify(zlib.gzip)(text));
  console.log('compressed and back:', round.equals(text));
  const found = await Promise.all([1, 2, 3].map(() => dns.lookup('localhost', { family: 4 })));
  console.log('names:', found.map((one) => one.address));
}

async function inSockets() {
  const server = net.createServer((socket) => socket.on('data', (data) => socket.end(data.toString().toUpperCase())));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ask = (text) => new Promise((resolve, reject) => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (data) => { answer += data; });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
  console.log('sockets:', await Promise.all(['one', 'two', 'three'].map(ask)));
  server.close();
}

async function inChildren() {
  const run = (code) => promisify(execFile)('sh', ['-c', `echo said ${code}; exit ${code}`]).catch((error) => error);
  const ended = await Promise.all([0, 1, 2].map(run));
  console.log('children:', ended.map((one) => [one.stdout.trim(), one.code || 0]));
}

async function main() {
  for (const part of [inWorkers, inFiles, inThePool, inSockets, inChildren]) await part();
}

if (isMainThread) main(); else work();

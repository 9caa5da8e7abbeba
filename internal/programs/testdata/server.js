// A server that uses what of node may notice a tracer. What goes wrong it
// writes on stderr, as "error: …".
const { execFile } = require('child_process');
const fs = require('fs');
const http = require('http');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const zlib = require('zlib');

const wrong = (...what) => console.error('error:', ...what);

if (!isMainThread) {
  parentPort.on('message', (n) => parentPort.postMessage(n + 1));
} else {
  process.on('uncaughtException', (e) => wrong(e.stack));
  process.on('unhandledRejection', (e) => wrong(e));
  process.on('SIGTERM', () => process.exit(0));

  const page = fs.readFileSync(__filename);
  let requests = 0;
  const server = http.createServer((_, response) => {
    const done = (e, b) => {
      if (e || b.length === 0) wrong(e || 'empty');
      response.end(b);
    };
    switch (++requests % 10) {
      case 0: return fs.readFile(__filename, done);
      case 1: return zlib.gzip(page, done);
      case 2: return setTimeout(done, 1, null, 'later\n');
      default: return done(null, 'now\n');
    }
  });
  // wrk leaves by a reset; a connection that it lost it tells of itself.
  server.on('clientError', (e) => e.code === 'ECONNRESET' || wrong('client', e));
  server.keepAliveTimeout = 0;

  // Children, whose end is a signal.
  const child = () => execFile('/bin/sh', ['-c', 'echo $((6 * 7))'], (e, out) => {
    if (e || out !== '42\n') wrong('child', e, out);
    setTimeout(child, 100);
  });
  child();

  // Timers, none of which may go off too early; node's have milliseconds.
  const timer = () => {
    const begin = process.hrtime.bigint();
    setTimeout(() => {
      const took = process.hrtime.bigint() - begin;
      if (took < 4_000_000n) wrong('a timer of 5 ms went off after', took);
      timer();
    }, 5);
  };
  timer();

  const worker = new Worker(__filename);
  let sent = 0;
  worker.on('error', (e) => wrong('worker', e));
  worker.on('exit', () => wrong('the worker has ended'));
  worker.on('message', (n) => {
    if (n !== sent + 1) wrong('worker', n);
    setTimeout(() => worker.postMessage(++sent), 1);
  });
  worker.postMessage(sent);

  server.listen(Number(process.argv[2]), '127.0.0.1');
}

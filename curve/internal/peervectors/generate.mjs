// Makes secp192k1/testdata/sha1-peers.json and secp256k1/testdata/sha1-peers.json: ECDSA over SHA-1,
// where two implementations that share no code with ours, and none with each other, have to agree on
// every line before it is written. Keys and messages are derived from a counter; only the signatures by
// openssl, which draws its nonces at random, differ from run to run.
//
//   mkdir /tmp/peers && cd /tmp/peers && npm install @noble/curves@2.4.0 @noble/hashes
//   cp <repository>/curve/internal/peervectors/generate.mjs . && node generate.mjs <repository>/curve
//
// Needs node 20 and the openssl command (3.0; its curves secp192k1 and secp256k1).
import { weierstrass, ecdsa } from '@noble/curves/abstract/weierstrass.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const curves = {
  secp192k1: {
    oid: '2b8104001f', bytes: 24,
    p: 0xfffffffffffffffffffffffffffffffffffffffeffffee37n,
    n: 0xfffffffffffffffffffffffe26f2fc170f69466a74defd8dn,
    h: 1n, a: 0n, b: 3n,
    Gx: 0xdb4ff10ec057e9ae26b07d0280b7f4341da5d1b1eae06c7dn,
    Gy: 0x9b2f2f6d9c5628a7844163d015be86344082aa88d95e2f9dn,
  },
  secp256k1: {
    oid: '2b8104000a', bytes: 32,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn,
    n: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    h: 1n, a: 0n, b: 7n,
    Gx: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
    Gy: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  },
};

const hex = (b) => Buffer.from(b).toString('hex');
const dir = mkdtempSync(join(tmpdir(), 'peers-'));
const file = (name, content) => { const f = join(dir, name); writeFileSync(f, content); return f; };
const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
const tlv = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, body.length]), body]);
};

function peers(curve) {
  const { oid, bytes, ...parameters } = curve;
  const point = weierstrass(parameters);
  // RFC 6979 with HMAC-SHA-256 whatever hash made the digest; no low-s rule.
  const noble = ecdsa(point, sha256, { lowS: false, hmac: (key, msg) => hmac(sha256, key, msg) });
  const options = { prehash: false, lowS: false, format: 'der' };
  const ids = tlv(0x30, Buffer.from('06072a8648ce3d0201', 'hex'), tlv(6, Buffer.from(oid, 'hex')));
  return {
    bytes,
    publicKey: (d) => noble.getPublicKey(d, true),
    nobleSign: (d, digest) => noble.sign(digest, d, options),
    nobleVerify: (q, digest, der) => {
      try { return noble.verify(der, digest, q, options); } catch { return false; }
    },
    opensslSign: (d, message) => {
      const key = tlv(0x30, tlv(2, Buffer.from([1])), tlv(4, Buffer.from(d)), tlv(0xa0, tlv(6, Buffer.from(oid, 'hex'))));
      return openssl('dgst', '-sha1', '-keyform', 'DER', '-sign', file('key', key), file('message', message));
    },
    opensslVerify: (q, message, der) => {
      const spki = tlv(0x30, ids, tlv(3, Buffer.from([0]), Buffer.from(q)));
      try {
        openssl('dgst', '-sha1', '-keyform', 'DER', '-verify', file('public', spki), '-signature', file('sig', der), file('message', message));
        return true;
      } catch { return false; }
    },
  };
}

function line(peer, maker, comment, d, q, message, der) {
  const digest = sha1(message);
  const verdicts = [peer.nobleVerify(q, digest, der), peer.opensslVerify(q, message, der)];
  if (verdicts[0] !== verdicts[1]) throw new Error(`the peers disagree: ${comment} ${hex(der)} ${verdicts}`);
  return { maker, comment, private: hex(d), public: hex(q), sha1: hex(digest), der: hex(der), valid: verdicts[0] };
}

function generate(name) {
  const peer = peers(curves[name]);
  const lines = [];
  for (let i = 0; i < 32; i++) {
    const d = sha256(Buffer.from(`${name} key ${i}`)).slice(0, peer.bytes);
    const q = peer.publicKey(d);
    const message = Buffer.from(`message ${i} for ${name}`);
    const byNoble = Buffer.from(peer.nobleSign(d, sha1(message)));
    const byOpenSSL = peer.opensslSign(d, message);
    lines.push(line(peer, 'noble', 'good', d, q, message, byNoble));
    lines.push(line(peer, 'openssl', 'good', d, q, message, byOpenSSL));
    lines.push(line(peer, 'noble', 'another message', d, q, Buffer.from(`message ${i}`), byNoble));
    const bent = Buffer.from(byOpenSSL);
    bent[bent.length - 1] ^= 1;
    lines.push(line(peer, 'openssl', 'last bit of s changed', d, q, message, bent));
  }
  const folder = join(process.argv[2], name, 'testdata');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'sha1-peers.json'), '[\n' + lines.map((l) => JSON.stringify(l)).join(',\n') + '\n]\n');
  console.log(name, lines.length, 'vectors,', lines.filter((l) => l.valid).length, 'valid');
}

Object.keys(curves).forEach(generate);

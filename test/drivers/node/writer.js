// node-postgres, as docs/connecting.md shows it: it knows one host at a time, so the loop over hosts is ours.
// What it is told and what it tells: test/drivers/python/common.py.
'use strict'

const readline = require('node:readline')
const { Client } = require('pg')

const LIMIT_MS = 2000

const INSERT = `
INSERT INTO ledger (id, round, payload) VALUES ($1, 0, 'node-postgres')
RETURNING inet_server_port(),
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          pg_current_xact_id()::text::bigint,
          (pg_current_wal_insert_lsn() - '0/0')::bigint,
          pg_backend_pid()`

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function tell (...words) {
  process.stdout.write(words.join(' ').replaceAll('\n', ' ') + '\n')
}

// Not end(): it would wait for the server's farewell.
function drop (client) {
  client.connection.stream.destroy()
}

async function connect (task) {
  let error = new Error('no host takes writes')
  for (const pair of task.hosts.split(',')) {
    const [host, port] = pair.split(':')
    const client = new Client({
      host,
      port: Number(port),
      user: task.user,
      password: task.password,
      database: task.database,
      connectionTimeoutMillis: LIMIT_MS,
      query_timeout: LIMIT_MS
    })
    client.on('error', () => {}) // it ended while it was idle; the next statement fails
    try {
      await client.connect()
      const { rows } = await client.query('SELECT pg_is_in_recovery() AS standby')
      if (!rows[0].standby) return client
    } catch (caught) {
      error = caught
    }
    drop(client)
  }
  throw error
}

async function write (task, id) {
  let client = null
  for (;;) {
    id++
    try {
      client = client || await connect(task)
      const { rows } = await client.query({ text: INSERT, values: [id], rowMode: 'array' })
      tell('ack', id, ...rows[0])
    } catch (error) {
      tell('error', error.code || '-', error.message)
      if (client) drop(client)
      client = null
      await rest(100)
    }
  }
}

const task = {}
let started = false
const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) => {
  if (line === '' && !started) {
    started = true
    for (let number = 0; number < Number(task.writers); number++) {
      write(task, Number(task.first_id) + number * 1e8)
    }
  } else if (!started) {
    const [key, value] = line.split(' ', 2)
    task[key] = value
  }
})
lines.on('close', () => process.exit(0))

// hocuspocus with its SQLite extension, as its documentation sets it up: node hocuspocus.mjs FOLDER
import { Server } from '@hocuspocus/server'
import { SQLite } from '@hocuspocus/extension-sqlite'

const folder = process.argv[2]
const server = new Server({
  address: '127.0.0.1',
  port: 0,
  quiet: true,
  extensions: [new SQLite({ database: `${folder}/hocuspocus.sqlite` })],
  async onListen ({ port }) {
    console.log(`port ${port}`)
  }
})
server.listen()

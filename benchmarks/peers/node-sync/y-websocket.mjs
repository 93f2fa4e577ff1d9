// The server of @y/websocket-server, in memory: node y-websocket.mjs FOLDER. The same as its
// server.js, but on a free port; that has none of its own to say.
import http from 'node:http'
import WebSocket from 'ws'
import { setupWSConnection } from '@y/websocket-server/utils'

const sockets = new WebSocket.Server({ noServer: true })
sockets.on('connection', setupWSConnection)
const server = http.createServer()
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, one => sockets.emit('connection', one, request))
})
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`))

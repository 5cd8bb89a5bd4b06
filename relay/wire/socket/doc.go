// Package socket is one WebSocket, during its handshake and after it: the queue of
// what is to be sent, the writer that empties it, the pinger that finds out that
// the other end is gone, and a close that says why and takes a bounded time.
//
// It stands between a coder/websocket connection and the connections of a relay or
// a peer. It knows frames and close codes, and not what a message means: who reads
// decodes what Next returns, and who has something to say encodes it for Send.
package socket

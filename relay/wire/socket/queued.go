package socket

// Queued is how many bytes wait to be written.
func (c *Conn) Queued() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.bytes
}

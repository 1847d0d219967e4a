package event

// checker finds what a schema's values can't say by themselves.
type checker struct {
	*binder
	s    *schema
	used map[endpoint]string // who listens where
}

type endpoint struct {
	host string
	port int
}

func (c *checker) check(view bool) {
	if c.s.Event == "" {
		c.at("event", "the event has no name; add event: NAME")
	}
	if c.s.Box != nil && !view {
		c.at("box", "box credentials are secrets; move them to the secrets file")
	}
}

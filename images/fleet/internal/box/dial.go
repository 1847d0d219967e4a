package box

import (
	"net"
	"net/http"
	"time"
)

// gone is for how long a box may leave what is sent to it unacknowledged. A
// card that writes slowly holds up an upload for seconds.
const gone = 45 * time.Second

// Client is an HTTP client for boxes: an upload may take as long as it goes on,
// and one to a box whose cable was pulled ends, by the kernel.
func Client() *http.Client {
	d := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
		Control:         control,
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: d.DialContext, DisableKeepAlives: true, DisableCompression: true,
			ExpectContinueTimeout: 10 * time.Second, // bcrypt on a Pi takes a while
			ResponseHeaderTimeout: 3 * time.Minute,  // of a slow card, flushing
			WriteBufferSize:       64 << 10,
		},
		// A box is asked at its address, and nowhere else are its credentials shown.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

package logs

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

const (
	queued     = 256
	dialAgain  = 10 * time.Second
	facility   = 3    // system daemons, RFC 5424, 6.2.1
	maxMessage = 2048 // which receivers should take, RFC 5424, 6.1
)

// Syslog sends lines to a server, by UDP (RFC 5426). What it can't send is
// dropped and counted: a log server must not hold up a box.
type Syslog struct {
	target func() string // host:port, "" for none; may change
	host   func() string // the box's name
	lines  chan Line
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NewSyslog asks for its target and the box's name whenever it needs them.
func NewSyslog(target, host func() string) *Syslog {
	return &Syslog{target: target, host: host, lines: make(chan Line, queued), dial: new(net.Dialer).DialContext}
}

// Add is a Ring's sink.
func (s *Syslog) Add(l Line) {
	select {
	case s.lines <- l:
	default:
	}
}

// Run sends until the context ends.
func (s *Syslog) Run(ctx context.Context) error {
	var conn net.Conn
	var to string
	var next time.Time
	closeConn := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer closeConn()
	for {
		var l Line
		select {
		case l = <-s.lines:
		case <-ctx.Done():
			return ctx.Err()
		}
		target := s.target()
		if target != to {
			closeConn()
			to, next = target, time.Time{}
		}
		if target == "" || conn == nil && time.Now().Before(next) {
			continue
		}
		if conn == nil {
			var err error
			if conn, err = s.dial(ctx, "udp", target); err != nil {
				conn, next = nil, time.Now().Add(dialAgain)
				slog.Debug("no way to the log server", "err", err)
				continue
			}
		}
		if _, err := conn.Write(message(l, s.host())); err != nil {
			closeConn() // the name may lead elsewhere now
		}
	}
}

// message is a line in the form of RFC 5424, 6:
//
//	<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG
func message(l Line, host string) []byte {
	m := fmt.Appendf(nil, "<%d>1 %s %s %s - - - %s", facility<<3|int(l.Level), l.Time.UTC().Format(timeForm), field(host, 255), field(l.Program, 48), l.Text)
	return m[:min(len(m), maxMessage)]
}

// field is a header's field: printable ASCII without spaces, "-" for none.
func field(s string, most int) string {
	var out []byte
	for _, b := range []byte(s) {
		if b > 32 && b < 127 && len(out) < most {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return string(out)
}

// BootID tells this boot of the machine from others: proc(5).
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return string(id[:min(len(id), 36)])
}

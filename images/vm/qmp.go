package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// qmp is QEMU's monitor: QEMU machine protocol, one JSON object a line.
type qmp struct {
	conn    net.Conn
	replies chan reply // closed at the end
	done    chan struct{}

	mu sync.Mutex // one command at a time
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
	Event  string          `json:"event"`
	QMP    json.RawMessage `json:"QMP"` // the greeting
}

type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (e *qmpError) Error() string { return e.Desc }

var errMonitorGone = errors.New("the machine is gone")

// socketPair is a connection to hand to a child, which needs no name and no
// waiting for a socket to appear.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "qmp")
	mine := os.NewFile(uintptr(fds[0]), "qmp")
	defer mine.Close()
	if ours, err = net.FileConn(mine); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func newQMP(c net.Conn) (*qmp, error) {
	q := &qmp{conn: c, replies: make(chan reply, 1), done: make(chan struct{})}
	go q.read()
	_, err := q.command(context.Background(), "qmp_capabilities", nil)
	if err != nil {
		q.close()
		return nil, fmt.Errorf("qemu's monitor: %w", err)
	}
	return q, nil
}

// read hands replies on; events and the greeting are of no use here.
func (q *qmp) read() {
	defer close(q.done)
	defer close(q.replies)
	for dec := json.NewDecoder(q.conn); ; {
		var r reply
		if dec.Decode(&r) != nil {
			return
		}
		if r.Event == "" && r.QMP == nil {
			q.replies <- r
		}
	}
}

func (q *qmp) command(ctx context.Context, name string, arguments any) (json.RawMessage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := json.NewEncoder(q.conn).Encode(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{name, arguments})
	if err != nil {
		return nil, errMonitorGone
	}
	select {
	case r, ok := <-q.replies:
		switch {
		case !ok:
			return nil, errMonitorGone
		case r.Error != nil:
			return nil, r.Error
		}
		return r.Return, nil
	case <-ctx.Done():
		q.conn.Close() // a late answer would be taken for the next one's
		return nil, ctx.Err()
	}
}

func (q *qmp) close() {
	q.conn.Close()
	for range q.replies { // what nobody waits for
	}
	<-q.done
}

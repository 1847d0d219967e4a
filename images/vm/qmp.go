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

	events  sync.Mutex
	ended   string                   // the cause in the SHUTDOWN event
	deleted map[string]chan struct{} // by device, closed when it is gone
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
	Event  string          `json:"event"`
	Data   eventData       `json:"data"`
	QMP    json.RawMessage `json:"QMP"` // the greeting
}

// eventData is what of the events' data is of use here.
type eventData struct {
	Reason string `json:"reason"` // of SHUTDOWN
	Device string `json:"device"` // of DEVICE_DELETED
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
	q := &qmp{conn: c, replies: make(chan reply, 1), done: make(chan struct{}), deleted: map[string]chan struct{}{}}
	go q.read()
	_, err := q.command(context.Background(), "qmp_capabilities", nil)
	if err != nil {
		q.close()
		return nil, fmt.Errorf("qemu's monitor: %w", err)
	}
	return q, nil
}

// read hands replies on, and notes events.
func (q *qmp) read() {
	defer close(q.done)
	defer close(q.replies)
	for dec := json.NewDecoder(q.conn); ; {
		var r reply
		if dec.Decode(&r) != nil {
			return
		}
		switch {
		case r.Event != "":
			q.note(r)
		case r.QMP == nil:
			q.replies <- r
		}
	}
}

func (q *qmp) note(r reply) {
	q.events.Lock()
	defer q.events.Unlock()
	switch r.Event {
	case "SHUTDOWN":
		q.ended = r.Data.Reason
	case "DEVICE_DELETED":
		if gone := q.deleted[r.Data.Device]; gone != nil {
			close(gone)
			delete(q.deleted, r.Data.Device)
		}
	}
}

// cause is why QEMU ended, as its SHUTDOWN event says; "" if it said nothing.
func (q *qmp) cause() string {
	q.events.Lock()
	defer q.events.Unlock()
	return q.ended
}

// waitDeleted is closed once a device is gone.
func (q *qmp) waitDeleted(device string) <-chan struct{} {
	q.events.Lock()
	defer q.events.Unlock()
	if q.deleted[device] == nil {
		q.deleted[device] = make(chan struct{})
	}
	return q.deleted[device]
}

// run is a command whose result is decoded; result may be nil.
func (q *qmp) run(ctx context.Context, name string, arguments, result any) error {
	raw, err := q.command(ctx, name, arguments)
	if err != nil {
		return fmt.Errorf("qemu: %s: %w", name, err)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(raw, result)
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
	q.finish()
}

// finish reads all that QEMU has said to its end: why it ended, for one.
func (q *qmp) finish() {
	for range q.replies { // what nobody waits for
	}
	<-q.done
	q.conn.Close()
}

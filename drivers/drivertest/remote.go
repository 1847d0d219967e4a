package drivertest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// variable is the environment's that names a remote control's folder.
const variable = "VIDEOBOX_TEST_STICK"

// Remote is a test's control of the stick in another process.
type Remote struct {
	folder string
	listen net.Listener
	wg     sync.WaitGroup

	mu       sync.Mutex
	standing map[string]string // by group the last command: what a new stick is told
	conn     net.Conn          // to the newest process
	answers  *bufio.Reader
}

// groups are commands of which the last one counts.
var groups = map[string]string{
	"unplug": "plug", "plug": "plug", "stop": "stop", "start": "stop", "freeze": "freeze", "thaw": "freeze",
	"silence": "sound", "sound": "sound", "nosignal": "signal", "nocable": "signal", "signal": "signal",
	"hang": "hang", "unhang": "hang",
}

// NewRemote listens in a folder. Close ends it.
func NewRemote(folder string) (*Remote, error) {
	l, err := net.Listen("unix", filepath.Join(folder, "control"))
	if err != nil {
		return nil, err
	}
	r := &Remote{folder: folder, listen: l, standing: map[string]string{}}
	r.wg.Go(r.accept)
	return r, nil
}

// Env is what the process with the stick needs in its environment.
func (r *Remote) Env() string { return variable + "=" + r.folder }

// Close ends it.
func (r *Remote) Close() error {
	err := r.listen.Close()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		r.conn.Close()
	}
	return err
}

func (r *Remote) accept() {
	for {
		c, err := r.listen.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.conn != nil {
			r.conn.Close()
		}
		r.conn, r.answers = c, bufio.NewReader(c)
		for _, line := range r.standing {
			_ = r.send(line) // a stick that has died comes again
		}
		_, _ = fmt.Fprintln(c, "ready")
		r.mu.Unlock()
	}
}

// Command gives the stick a command, the one that is there now and, unless it
// strikes single frames only, those to come.
func (r *Remote) Command(line string) error {
	word, _, _ := strings.Cut(line, " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := groups[word]; g != "" && line != "hang ever" {
		r.standing[g] = line
	}
	if r.conn == nil {
		return nil
	}
	return r.send(line)
}

func (r *Remote) send(line string) error {
	_ = r.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintln(r.conn, line); err != nil {
		return err
	}
	answer, err := r.answers.ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}

// FromEnv makes the stick of a process that has a remote control: nil without an
// error if it has none. It knows its faults when FromEnv returns.
func FromEnv(c Config) (*Stick, error) {
	folder := os.Getenv(variable)
	if folder == "" {
		return nil, nil
	}
	conn, err := net.Dial("unix", filepath.Join(folder, "control"))
	if err != nil {
		return nil, err
	}
	own := filepath.Join(folder, fmt.Sprint(os.Getpid()))
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, err
	}
	s := NewStick(own, c)
	in := bufio.NewScanner(conn)
	if err := s.obey(conn, in, "ready"); err != nil {
		return nil, err
	}
	go s.obey(conn, in, "") // as long as the process lives
	return s, nil
}

// obey obeys lines until one of them is the last.
func (s *Stick) obey(conn net.Conn, in *bufio.Scanner, last string) error {
	for in.Scan() {
		if in.Text() == last {
			return nil
		}
		answer := "ok"
		if err := s.Command(in.Text()); err != nil {
			answer = "error: " + err.Error()
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			return err
		}
	}
	return errors.New("the remote control is gone")
}

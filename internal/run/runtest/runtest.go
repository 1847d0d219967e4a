// Package runtest is for tests of what runs by itself: other goroutines, other
// processes.
package runtest

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// Patience is how long Eventually waits: longer than any machine is busy with
// something else, as it only costs a test that fails.
const Patience = 20 * time.Second

// Eventually waits until ok holds; if it doesn't within Patience, the test ends
// and says what was waited for.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// Log is what a process or a goroutine writes, to be read while it goes on
// writing.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

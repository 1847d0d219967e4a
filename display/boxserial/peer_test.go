package boxserial

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// peer is a display at the other end of a pseudo-terminal. It does what the
// firmware does, and what goes wrong as it is told.
type peer struct {
	port string // where it is
	tty  *os.File
	done chan struct{}

	mu      sync.Mutex
	rows    int
	image   [240][240][2]byte
	left    int // bytes of an image still to come
	x, y, w int
	at      int
	line    []byte
	log     []string // commands
	shown   int      // display.imgonly

	fail   map[string]int // so often, by command
	mute   int            // so many commands get no answer
	before string         // what it says before each answer
	loses  int            // so many bytes of pixels get lost
}

func newPeer(t *testing.T, rows int) *peer {
	t.Helper()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("needs pseudo-terminals: ", err)
	}
	p := &peer{tty: tty, done: make(chan struct{}), rows: rows, fail: map[string]int{}}
	var number int
	c, err := tty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.port = fmt.Sprintf("/dev/pts/%d", number)
	// A terminal without anybody on it would end the peer's reading.
	hold, err := os.OpenFile(p.port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	go p.run()
	t.Cleanup(func() { p.unplug(); hold.Close() })
	return p
}

// unplug takes the display away.
func (p *peer) unplug() { p.tty.Close(); <-p.done }

func (p *peer) run() {
	defer close(p.done)
	buffer := make([]byte, 4096)
	for {
		n, err := p.tty.Read(buffer)
		if err != nil {
			return
		}
		for _, b := range buffer[:n] {
			if said := p.take(b); said != "" {
				if _, err := p.tty.WriteString(said); err != nil {
					return
				}
			}
		}
	}
}

// take is one byte; it returns what the display says to it.
func (p *peer) take(b byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		return p.pixel(b)
	}
	if b != '\n' && b != '\r' {
		if len(p.line) < 100 {
			p.line = append(p.line, b)
		}
		return ""
	}
	line := string(p.line)
	p.line = p.line[:0]
	if line == "" {
		return ""
	}
	return p.command(line)
}

func (p *peer) pixel(b byte) string {
	if p.loses > 0 {
		p.loses--
		return ""
	}
	if p.w > 0 { // else an image of somebody before
		i := p.at / 2
		p.image[p.y+i/p.w][p.x+i%p.w][p.at%2] = b
		p.at++
	}
	if p.left--; p.left == 0 {
		return p.answer("ok display.img")
	}
	return ""
}

func (p *peer) command(line string) string {
	name, args, _ := strings.Cut(line, " ")
	p.log = append(p.log, name)
	if p.fail[name] > 0 {
		p.fail[name]--
		return p.answer("fail " + name)
	}
	switch name {
	case "display.text.clear":
	case "display.imgonly":
		p.shown++
	case "display.img":
		var h int
		n, _ := fmt.Sscanf(args, "565 %d %d %d %d", &p.x, &p.y, &p.w, &h)
		if n != 4 || p.x >= 240 || p.y >= p.rows || p.w > 240 || h > p.rows || p.w < 1 || h < 1 || p.x+p.w > 240 || p.y+h > p.rows {
			return p.answer("fail given rectangle has a very stupid size")
		}
		p.left, p.at = 2*p.w*h&0xffff, 0
		return ""
	default:
		return p.answer("no such command: " + line + "\nsay 'help' for help\nfail")
	}
	return p.answer("ok " + name)
}

func (p *peer) answer(text string) string {
	if p.mute > 0 {
		p.mute--
		return ""
	}
	return p.before + text + "\n"
}

func (p *peer) with(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

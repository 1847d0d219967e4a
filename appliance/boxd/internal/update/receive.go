package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/bundle"
)

// Why something is refused; each has a status code of HTTP.
var (
	ErrNoKey     = errors.New("this box has no update key, so it takes no bundles; give it one as videobox.key on its card")
	ErrBoard     = errors.New("the bundle is for another board")
	ErrKernel    = errors.New("the bundle's root needs another kernel than this card's boot partition has; flash the card, or use gok update")
	ErrTooLarge  = errors.New("the bundle is too large")
	ErrOlder     = errors.New("the bundle is not newer than what runs; force=older takes it all the same")
	ErrBusy      = errors.New("the room is in use; force=busy updates all the same")
	ErrNotNow    = errors.New("not now")
	ErrOffset    = errors.New("that isn't where the bundle goes on")
	ErrNotWhole  = errors.New("the bundle isn't there as a whole")
	ErrBroken    = errors.New("the connection broke")
	ErrNoUpdates = errors.New("only a videobox image takes updates")
)

// receive takes a bundle, from an offset on, and says whether it is whole.
func (u *Updater) receive(body io.Reader, offset int64) (whole bool, err error) {
	c, err := u.mayChange()
	if err != nil {
		return false, err
	}
	if offset == 0 {
		if err := u.begin(c, body); err != nil {
			return false, err
		}
	}
	u.mu.Lock()
	in := u.in
	u.mu.Unlock()
	if offset != 0 && (in == nil || in.received != offset) {
		return false, fmt.Errorf("%w: %d bytes are there", ErrOffset, in.have())
	}
	err = u.put(c, in, body)
	if errors.Is(err, bundle.ErrTruncated) { // the rest comes with another request
		err = nil
	}
	return in.whole(), err
}

func (i *incoming) have() int64 {
	if i == nil {
		return 0
	}
	return i.received
}

// mayChange says whether the other root may be written to.
func (u *Updater) mayChange() (slot.Card, error) {
	c, err := u.o.Card()
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrNoUpdates, err)
	}
	u.mu.Lock()
	ready, on := u.ready, u.record.Trial != nil
	u.mu.Unlock()
	if un, err := c.Uncommitted(); un || err != nil || on {
		return c, fmt.Errorf("%w: an update is on trial", ErrNotNow)
	}
	if !ready {
		return c, fmt.Errorf("%w: the box has just started", ErrNotNow)
	}
	n, err := c.Next()
	if err == nil && n != c.Running {
		err = fmt.Errorf("%w: the other root was switched to and waits for a restart", ErrNotNow)
	}
	if why := u.gokWorks(); err == nil && why != "" {
		err = fmt.Errorf("%w: %s", ErrNotNow, why)
	}
	return c, err
}

// begin reads a bundle's header, and forgets the one before.
func (u *Updater) begin(c slot.Card, body io.Reader) error {
	key, err := u.key()
	if err != nil {
		return err
	}
	head, err := bundle.ReadHeader(body, key)
	if err != nil {
		return err
	}
	if err := u.fits(c, head); err != nil {
		return err
	}
	if err := u.writeFile(headFile, head.Raw); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.in = &incoming{head, int64(len(head.Raw))}
	return nil
}

// fits refuses what this box can't run, whoever wants it.
func (u *Updater) fits(c slot.Card, h bundle.Header) error {
	if h.Board != u.running.Board || u.running.Arch != "" && h.Arch != u.running.Arch {
		return fmt.Errorf("%w: it is for %s (%s), this box is %s (%s)", ErrBoard, h.Board, h.Arch, u.running.Board, u.running.Arch)
	}
	if len(h.Parts) != 1 || h.Parts[0].Name != bundle.Root {
		return fmt.Errorf("%w: it must hold the part %s and nothing else", bundle.ErrFormat, bundle.Root)
	}
	f, err := openRoot(c)
	if err != nil {
		return err
	}
	defer f.Close()
	room, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if h.Parts[0].Size > room {
		return fmt.Errorf("%w: its root has %d bytes, the partition %d", ErrTooLarge, h.Parts[0].Size, room)
	}
	return u.kernelFits(c, h.Kernel)
}

// kernelFits compares kernels: those that a trial starts are the old root's.
func (u *Updater) kernelFits(c slot.Card, want string) error {
	if want == "" {
		return nil
	}
	u.mu.Lock()
	have := u.kernel
	u.mu.Unlock()
	if have == "" {
		sum := sha256.New()
		if err := c.CopyBoot(sum, kernelFile); err != nil {
			return err
		}
		have = hex.EncodeToString(sum.Sum(nil))
		u.mu.Lock()
		u.kernel = have
		u.mu.Unlock()
	}
	if have != want {
		return ErrKernel
	}
	return nil
}

// openRoot opens the root that isn't running. O_EXCL keeps it from one that is
// mounted, whatever this program believes (open(2)). But where a trial was
// committed, the kernel has the old root mounted until the next start, below the
// new one: nobody can read it.
func openRoot(c slot.Card) (*os.File, error) {
	flag := os.O_RDWR
	if !c.OnTrial() {
		flag |= os.O_EXCL
	}
	f, err := os.OpenFile(c.Root[c.Other()], flag, 0)
	if err != nil {
		return nil, fmt.Errorf("root partition %s: %w", slotName(c.Other()), err)
	}
	return f, nil
}

// settleEvery is how much may wait to be written: more, and the recorder waits
// long when it flushes.
const settleEvery = 4 << 20

// put writes the parts from where they are at.
func (u *Updater) put(c slot.Card, in *incoming, body io.Reader) error {
	f, err := openRoot(c)
	if err != nil {
		return err
	}
	u.mu.Lock()
	from := in.received
	u.gok.over = true
	u.mu.Unlock()
	_, err = in.head.Read(body, from, func(chunk bundle.Chunk) error {
		if _, err := f.WriteAt(chunk.Data, chunk.At); err != nil {
			return err
		}
		if (chunk.At+int64(len(chunk.Data)))%settleEvery == 0 {
			if err := f.Sync(); err != nil {
				return err
			}
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		in.received += int64(len(chunk.Data))
		return nil
	})
	return errors.Join(err, f.Sync(), f.Close())
}

// onCard says how much of the bundle the partition holds, by reading it anew.
func onCard(c slot.Card, head bundle.Header) (int64, error) {
	f, err := openRoot(c)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil { // else memory is read
		return 0, err
	}
	return head.Whole(func(string) io.ReaderAt { return f })
}

// findAgain takes up a bundle that was received in part before boxd's start.
func (u *Updater) findAgain(c slot.Card) error {
	raw, err := os.ReadFile(u.path(headFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := u.key()
	if err != nil {
		return err
	}
	head, err := bundle.ReadHeader(bytes.NewReader(raw), key)
	if err == nil {
		err = u.fits(c, head)
	}
	if err != nil {
		u.remove(headFile)
		return err
	}
	received, err := onCard(c, head)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.in, u.gok.over = &incoming{head, received}, true
	return nil
}

// drop forgets what was received.
func (u *Updater) drop() error {
	if _, err := u.mayChange(); err != nil {
		return err
	}
	u.forget()
	return nil
}

func (u *Updater) forget() {
	u.remove(headFile)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.in = nil
}

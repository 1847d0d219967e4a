package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// kernelLog is where the kernel says what befalls disks (Linux,
// Documentation/ABI/testing/dev-kmsg).
const kernelLog = "/dev/kmsg"

// diskTrouble are the kernel's words for a disk that fails: block layer, MMC, SCSI and
// ATA, NVMe, USB storage, ext4.
var diskTrouble = regexp.MustCompile(`(?i)(I/O error|mmc\d+: .*(error|timeout|timed out)|EXT4-fs error|Buffer I/O|ata\d+.*(failed command|exception)|nvme\d+: .*(timeout|reset|error)|sd [^ ]+: .*(FAILED|Medium Error|Unrecovered)|Remounting filesystem read-only|journal has aborted)`)

// diskErrors counts what the kernel has said of a failing disk since the boot.
type diskErrors struct {
	// names are what the kernel calls the disk: its partition, the disk, and what
	// it hangs from. Of others nothing counts.
	names []string

	mu     sync.Mutex
	count  uint64
	last   string
	at     time.Time
	broken error // why the log can't be read
}

// kernelErrors is what the status shows of it.
type kernelErrors struct {
	Count uint64    `json:"count"`
	Last  string    `json:"last,omitempty"`
	At    time.Time `json:"at,omitzero"` // of the last
	Error string    `json:"error,omitempty"`
}

func (d *diskErrors) status() kernelErrors {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := kernelErrors{Count: d.count, Last: d.last, At: d.at}
	if d.broken != nil {
		k.Error = d.broken.Error()
	}
	return k
}

// take looks at one record of the log: "6,339,5140900,-;text", and further lines
// that start with a blank.
func (d *diskErrors) take(record []byte) {
	head, text, ok := bytes.Cut(record, []byte{';'})
	if !ok {
		return
	}
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	if !diskTrouble.Match(text) || !slices.ContainsFunc(d.names, func(n string) bool { return hasWord(text, n) }) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	d.last, d.at = string(bytes.ToValidUTF8(text[:min(len(text), 200)], []byte("?"))), when(head)
}

// when is the time of a record: its third field counts microseconds of
// CLOCK_MONOTONIC.
func when(head []byte) time.Time {
	var now unix.Timespec
	fields := bytes.Split(head, []byte{','})
	if len(fields) < 3 || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return time.Now().UTC()
	}
	us, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if age := now.Nano()/1000 - us; err == nil && age > 0 {
		return time.Now().Add(-time.Duration(age) * time.Microsecond).UTC()
	}
	return time.Now().UTC()
}

// hasWord finds a device's name, but not as a part of a longer one.
func hasWord(text []byte, name string) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(name))
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(name)
		if (from == 0 || !isAlnum(text[from-1])) && (to == len(text) || !isAlnum(text[to])) {
			return true
		}
		at = to
	}
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// namesOf are the kernel's names for the disk below a directory; none where it
// is in memory.
func namesOf(sys, dir string) []string {
	path := deviceOf(sys, dir)
	if path == "" {
		return nil
	}
	names := []string{filepath.Base(path)}
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	disk := names[len(names)-1]
	switch {
	case strings.HasPrefix(disk, "nvme"):
		controller, _, _ := strings.Cut(strings.TrimPrefix(disk, "nvme"), "n")
		names = append(names, "nvme"+controller)
	case strings.HasPrefix(disk, "mmcblk"):
		names = append(names, "mmc"+strings.TrimPrefix(disk, "mmcblk"))
	}
	return names
}

// run follows the kernel's log until the context ends. Without one the status
// says why, and recording goes on.
func (d *diskErrors) run(ctx context.Context, path string) error {
	f, err := openLog(path)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { f.Close() })
		defer stop()
		err = d.follow(f)
	}
	if ctx.Err() == nil {
		slog.Warn("record: errors of the disk that the kernel knows of won't be shown", "error", err)
		d.mu.Lock()
		d.broken = err
		d.mu.Unlock()
	}
	<-ctx.Done()
	return ctx.Err()
}

// openLog opens it so that Close ends a read.
func openLog(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// follow reads records: each read gives one. EPIPE means that some were
// overwritten before they were read.
func (d *diskErrors) follow(r io.Reader) error {
	buf := bufio.NewReaderSize(r, 16<<10)
	record := make([]byte, 8<<10)
	for {
		n, err := buf.Read(record)
		if n > 0 {
			d.take(record[:n])
		}
		if err != nil && !errors.Is(err, unix.EPIPE) {
			return err
		}
	}
}

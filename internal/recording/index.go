package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"time"
)

// Entry is a line of the index: one file. A later line for a file replaces an
// earlier one.
type Entry struct {
	File             string    `json:"file"`
	Start            time.Time `json:"start"` // program time of the first and of the last picture
	End              time.Time `json:"end"`
	StartFrame       uint64    `json:"start_frame,omitempty"` // on the frame grid, where the stream carries stamps
	EndFrame         uint64    `json:"end_frame,omitempty"`
	Bytes            int64     `json:"bytes"`
	Pictures         uint64    `json:"pictures"`
	ContinuityErrors uint64    `json:"continuity_errors"`
	MissingFrames    uint64    `json:"missing_frames"` // numbers that the stream left out
	Gaps             []Gap     `json:"gaps,omitempty"` // before the file and in it
	GapsOmitted      int       `json:"gaps_omitted,omitempty"`
	SHA256           string    `json:"sha256,omitempty"`
	Spans            []Span    `json:"spans,omitempty"`
	SpansOmitted     int       `json:"spans_omitted,omitempty"`
	Loudness         *Loudness `json:"loudness,omitempty"`
	BootClock        int64     `json:"boot_clock_ns,omitempty"` // the stream's clock minus the host's time since boot, where the clock was not in sync
	Renamed          string    `json:"renamed,omitempty"`       // the name it would have had by a clock in sync
	Verified         time.Time `json:"verified,omitzero"`       // when its bytes were last read back and were right
	Acknowledged     time.Time `json:"acknowledged,omitzero"`   // not in the index: somebody has a copy
	Open             bool      `json:"open,omitempty"`          // not in the index: being written, or not indexed yet
}

// Gap is a piece of the stream that is not there.
type Gap struct {
	Start      time.Time `json:"start"` // program time of the last picture before it
	End        time.Time `json:"end"`   // and of the first after it
	FirstFrame uint64    `json:"first_frame,omitempty"`
	LastFrame  uint64    `json:"last_frame,omitempty"`
	Cause      string    `json:"cause"`
}

const (
	stampLayout  = "20060102150405"
	maxIndexLine = 1 << 20
)

// IndexName is the file name of a recording's index.
func IndexName(name string) string { return name + ".jsonl" }

// ReadIndex reads an index. Lines that are damaged, as the last one may be
// after a power cut, are left out and counted.
func ReadIndex(r io.Reader) (entries []Entry, damaged int, err error) {
	at := make(map[string]int)
	b := bufio.NewReader(r)
	for {
		line, err := readLine(b)
		if e, ok := parseLine(line); ok {
			if i, again := at[e.File]; again {
				entries[i] = e
			} else {
				at[e.File] = len(entries)
				entries = append(entries, e)
			}
		} else if len(line) > 0 {
			damaged++
		}
		if err == io.EOF {
			return entries, damaged, nil
		}
		if err != nil {
			return entries, damaged, err
		}
	}
}

// readLine returns the next line without its end; one that is too long to be
// an entry is cut off, which makes it a damaged one.
func readLine(b *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		if len(line) <= maxIndexLine {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSpace(line), err
		}
	}
}

func parseLine(line []byte) (Entry, bool) {
	var e Entry
	if len(line) == 0 || len(line) > maxIndexLine || json.Unmarshal(line, &e) != nil {
		return Entry{}, false
	}
	return e, IsRecording(e.File) && e.Bytes >= 0
}

var recordingName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*-(\d{14}|boot[0-9a-f]{8}-\d+)\.ts$`)

// IsRecording says whether a file name is one that a recorder makes. Such a
// name holds no slash.
func IsRecording(file string) bool { return len(file) < 128 && recordingName.MatchString(file) }

// belongs says whether a file is one of this stream: `a-b-2026….ts` is b's
// business when the stream is `a`.
func belongs(file, name string) bool {
	if !IsRecording(file) || len(file) <= len(name) || file[:len(name)] != name {
		return false
	}
	return ownSuffix.MatchString(file[len(name):])
}

var ownSuffix = regexp.MustCompile(`^-(\d{14}|boot[0-9a-f]{8}-\d+)\.ts$`)

// List is what is recorded of a stream, oldest first: the files in dir/name,
// with what the index says of them.
func List(fsys FS, dir, name string) ([]Entry, error) {
	dir = filepath.Join(dir, name)
	indexed, err := loadIndex(fsys, dir, name)
	if err != nil {
		return nil, err
	}
	acks, err := loadAcks(fsys, dir, name)
	if err != nil {
		return nil, err
	}
	files, err := recordings(fsys, dir, name)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(files))
	for _, f := range files {
		e, ok := indexed[f.name]
		if !ok || e.Bytes != f.size {
			e = Entry{File: f.name, Start: f.nameTime(), End: f.changed, Bytes: f.size, Open: true}
		}
		if a, ok := acks[f.name]; ok && e.SHA256 != "" && a.SHA256 == e.SHA256 {
			e.Acknowledged = a.At
		}
		list = append(list, e)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Start.Before(list[j].Start) })
	return list, nil
}

func loadIndex(fsys FS, dir, name string) (map[string]Entry, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, IndexName(name)), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, _, err := ReadIndex(f)
	indexed := make(map[string]Entry, len(entries))
	for _, e := range entries {
		indexed[e.File] = e
	}
	return indexed, err
}

// file is a recording on the disk.
type file struct {
	name    string
	size    int64
	changed time.Time
}

// nameTime is the time that a file's name says, else that of its last change.
func (f file) nameTime() time.Time {
	if i := len(f.name) - len(stampLayout) - len(".ts"); i > 0 {
		if t, err := time.Parse(stampLayout, f.name[i:i+len(stampLayout)]); err == nil {
			return t
		}
	}
	return f.changed
}

// recordings are the files of a stream, the one changed last at the end.
func recordings(fsys FS, dir, name string) ([]file, error) {
	list, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []file
	for _, d := range list {
		if !belongs(d.Name(), name) || !d.Type().IsRegular() {
			continue
		}
		info, err := d.Info()
		if err != nil {
			continue // removed meanwhile
		}
		files = append(files, file{d.Name(), info.Size(), info.ModTime().UTC()})
	}
	sort.SliceStable(files, func(i, j int) bool { return files[i].changed.Before(files[j].changed) })
	return files, nil
}

package recording

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Ack says that somebody has a copy of a file, byte for byte. Acknowledgements
// lie in a file of their own beside the index, which only one program writes,
// and are believed only while the index has the same checksum.
type Ack struct {
	File   string    `json:"file"`
	SHA256 string    `json:"sha256"`
	At     time.Time `json:"at"`
}

// AcksName is the file name of a recording's acknowledgements.
func AcksName(name string) string { return name + ".acks.jsonl" }

// ErrUnknownHash is an acknowledgement of what isn't recorded here.
var ErrUnknownHash = errors.New("recording: no closed file has this SHA-256")

// Acknowledge notes that the files with these checksums (SHA-256, hexadecimal)
// are safe elsewhere. It returns their names. Those that are unknown make an
// error that wraps ErrUnknownHash; the others are noted all the same. Writing
// twice what was noted is fine.
func Acknowledge(fsys FS, dir, name string, sums []string, now time.Time) (files []string, err error) {
	indexed, err := loadIndex(fsys, filepath.Join(dir, name), name)
	if err != nil {
		return nil, err
	}
	bySum := map[string]string{}
	for file, e := range indexed {
		if e.SHA256 != "" {
			bySum[e.SHA256] = file
		}
	}
	var lines []byte
	var unknown error
	for _, sum := range sums {
		file, ok := bySum[sum]
		if !ok {
			unknown = errors.Join(unknown, fmt.Errorf("%w: %.64s", ErrUnknownHash, sum))
			continue
		}
		line, err := json.Marshal(Ack{file, sum, now.UTC()})
		if err != nil {
			return nil, err
		}
		files, lines = append(files, file), append(append(lines, line...), '\n')
	}
	if len(lines) > 0 {
		if err := appendLines(fsys, filepath.Join(dir, name), AcksName(name), lines); err != nil {
			return nil, errors.Join(err, unknown)
		}
	}
	return files, unknown
}

// appendLines adds whole lines to a file and flushes them. A line that an
// earlier power cut tore is ended first.
func appendLines(fsys FS, dir, file string, lines []byte) error {
	f, err := fsys.OpenFile(filepath.Join(dir, file), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var last [1]byte
	if end > 0 {
		if _, err := f.ReadAt(last[:], end-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			lines = append([]byte{'\n'}, lines...)
		}
	}
	if _, err := f.Write(lines); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// loadAcks reads the acknowledgements, by file. Damaged lines are left out.
func loadAcks(fsys FS, dir, name string) (map[string]Ack, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, AcksName(name)), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	acks := map[string]Ack{}
	for b := bufio.NewReader(f); ; {
		line, err := readLine(b)
		var a Ack
		if json.Unmarshal(line, &a) == nil && IsRecording(a.File) {
			acks[a.File] = a
		}
		if errors.Is(err, io.EOF) {
			return acks, nil
		}
		if err != nil {
			return acks, err
		}
	}
}

// ErrNotAcknowledged is a file that may not go, since this is its only copy.
var ErrNotAcknowledged = errors.New("recording: nobody has acknowledged a copy of this file")

// Delete removes a closed file. Without force it must have been acknowledged.
// The index goes on telling what was in it.
func Delete(fsys FS, dir, name, file string, force bool) error {
	list, err := List(fsys, dir, name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(e Entry) bool { return e.File == file })
	switch {
	case i < 0:
		return fmt.Errorf("recording: %s: %w", file, fs.ErrNotExist)
	case list[i].Open:
		return fmt.Errorf("recording: %s is being written, or not indexed yet; try again when it is", file)
	case list[i].Acknowledged.IsZero() && !force:
		return fmt.Errorf("%w: %s", ErrNotAcknowledged, file)
	}
	if err := fsys.Remove(filepath.Join(dir, name, file)); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Join(dir, name))
}

package recording

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const line = `{"file":"box1-20261123100000.ts","start":"2026-11-23T10:00:00Z","end":"2026-11-23T10:09:59.96Z","start_frame":44885700000,"end_frame":44885714999,"bytes":188,"pictures":15000,"continuity_errors":0,"missing_frames":0,"sha256":"00"}`

func TestReadIndex(t *testing.T) {
	second := strings.Replace(line, "1000", "1010", 1)
	newer := strings.Replace(line, `"bytes":188`, `"bytes":376`, 1)
	for _, tt := range []struct {
		name, index    string
		files, damaged int
		bytes          int64
	}{
		{"empty", "", 0, 0, 0},
		{"one", line + "\n", 1, 0, 188},
		{"without an end of line", line, 1, 0, 188},
		{"torn last line", line + "\n" + second[:80], 1, 1, 188},
		{"torn in the middle", line[:60] + "\n" + line + "\n" + second + "\n", 2, 1, 188},
		{"later lines count", line + "\n" + newer + "\n", 1, 0, 376},
		{"zeros", line + "\n" + strings.Repeat("\x00", 5000), 1, 1, 188},
		{"a line without end", line + "\n" + strings.Repeat("x", 3<<20) + "\n" + second + "\n", 2, 1, 188},
		{"names that lead elsewhere", strings.Replace(line, "box1-", "../box1-", 1) + "\n" + strings.Replace(line, "box1-20261123100000.ts", "passwd", 1), 0, 2, 0},
		{"a negative length", strings.Replace(line, `"bytes":188`, `"bytes":-1`, 1), 0, 1, 0},
	} {
		entries, damaged, err := ReadIndex(strings.NewReader(tt.index))
		if err != nil || len(entries) != tt.files || damaged != tt.damaged {
			t.Errorf("%s: %d entries, %d damaged, %v; want %d, %d", tt.name, len(entries), damaged, err, tt.files, tt.damaged)
			continue
		}
		if tt.files > 0 && entries[0].Bytes != tt.bytes {
			t.Errorf("%s: %d bytes, want %d", tt.name, entries[0].Bytes, tt.bytes)
		}
	}
}

func TestIsRecording(t *testing.T) {
	for name, want := range map[string]bool{
		"box1-20261123100000.ts":     true,
		"a-b.c-20261123100000.ts":    true,
		"box1-boot0123abcd-12.ts":    true,
		"box1.jsonl":                 false,
		"../box1-20261123100000.ts":  false,
		"a/box1-20261123100000.ts":   false,
		"box1-20261123100000.ts.tmp": false,
		"-20261123100000.ts":         false,
		"box1-2026112310000.ts":      false,
	} {
		if IsRecording(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if belongs("a-b-20261123100000.ts", "a") || !belongs("a-b-20261123100000.ts", "a-b") {
		t.Error("a stream takes another's files")
	}
}

func FuzzReadIndex(f *testing.F) {
	f.Add([]byte(line + "\n"))
	f.Add([]byte(line + "\n" + line[:50]))
	f.Add([]byte("\x00\x00\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, _, err := ReadIndex(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		for _, e := range entries {
			l, err := json.Marshal(e)
			if err != nil {
				return // a year that JSON can't say
			}
			again.Write(append(l, '\n'))
		}
		back, damaged, err := ReadIndex(&again)
		if err != nil || damaged != 0 || len(back) != len(entries) {
			t.Fatalf("%d entries, %d damaged, %v; want %d", len(back), damaged, err, len(entries))
		}
		for i := range back {
			if !reflect.DeepEqual(back[i].File, entries[i].File) || back[i].Bytes != entries[i].Bytes {
				t.Errorf("%+v, want %+v", back[i], entries[i])
			}
		}
	})
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/recording"
)

func TestDiskTroubleInTheKernelsLog(t *testing.T) {
	for line, counts := range map[string]bool{
		"3,900,81000,-;blk_update_request: I/O error, dev mmcblk0, sector 2048 op 0x1":      true,
		"3,901,81000,-;mmc0: error -110 whilst initialising SD card":                        true,
		"3,902,81000,-;mmc1: Card stuck in wrong state! timed out":                          true,
		"2,903,81000,-;EXT4-fs error (device mmcblk0p4): ext4_find_entry:1463: inode #2":    true,
		"3,904,81000,-;Buffer I/O error on dev sda1, logical block 0, lost async write":     true,
		"4,905,81000,-;nvme0: I/O 12 QID 1 timeout, aborting":                               true,
		"4,906,81000,-;nvme0: controller reset":                                             true,
		"3,907,81000,-;sd 0:0:0:0: [sda] tag#0 FAILED Result: hostbyte=DID_ERROR":           true,
		"2,908,81000,-;EXT4-fs (mmcblk0p4): Remounting filesystem read-only":                true,
		"3,909,81000,-;blk_update_request: I/O error, dev sdb, sector 2048":                 false, // another disk
		"3,909,81000,-;blk_update_request: I/O error, dev sda10, sector 2048":               false,
		"4,909,81000,-;EXT4-fs warning (device sda1): ext4_convert_unwritten_extents_endio": false,
		"6,909,81000,-;EXT4-fs (mmcblk0p4): mounted filesystem with ordered data mode":      false,
		"6,910,81000,-;mmc0: new high speed SDHC card at address aaaa":                      false,
		"6,911,81000,-;usb 1-1: USB disconnect, device number 2":                            false,
		"no record at all I/O error":                                                        false,
	} {
		d := diskErrors{names: []string{"mmcblk0p4", "mmcblk0", "mmc0", "mmc1", "nvme0", "sda1", "sda"}}
		d.take([]byte(line + "\n SUBSYSTEM=block\n"))
		if got := d.status(); (got.Count == 1) != counts || counts && (got.Last == "" || strings.Contains(got.Last, "SUBSYSTEM")) {
			t.Errorf("%s: counted %+v, want %v", line, got, counts)
		}
	}
}

// records gives one record a read, as /dev/kmsg does, and an EPIPE between.
type records []string

func (r *records) Read(p []byte) (int, error) {
	if len(*r) == 0 {
		return 0, io.EOF
	}
	next := (*r)[0]
	*r = (*r)[1:]
	if next == "" {
		return 0, unix.EPIPE
	}
	return copy(p, next), nil
}

func TestFollowsTheLogOverWhatWasOverwritten(t *testing.T) {
	d := diskErrors{names: []string{"sda", "sdb"}}
	err := d.follow(&records{"3,1,1,-;I/O error, dev sda\n", "", "6,2,1,-;fine\n", "3,3,1,-;Buffer I/O error on dev sdb\n"})
	if !errors.Is(err, io.EOF) || d.status().Count != 2 || !strings.Contains(d.status().Last, "sdb") {
		t.Errorf("%v, %+v", err, d.status())
	}
}

func TestNoLogIsSaidAndEndsNothing(t *testing.T) {
	var d diskErrors
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.run(ctx, filepath.Join(t.TempDir(), "none")) }()
	for d.status().Error == "" {
		time.Sleep(time.Millisecond) // polling only
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzKernelLog(f *testing.F) {
	f.Add([]byte("3,900,81000,-;I/O error, dev mmcblk0\n SUBSYSTEM=block\n"))
	f.Add([]byte(";\xff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := diskErrors{names: []string{"mmcblk0"}}
		d.take(data)
		if s := d.status(); s.Count > 1 || len(s.Last) > 600 {
			t.Errorf("%+v", s)
		}
		_ = d.follow(bytes.NewReader(data))
	})
}

func TestWear(t *testing.T) {
	for name, c := range map[string]struct {
		life, eol string
		want      *wear
		words     string
	}{
		"new":       {"0x01 0x01\n", "0x01\n", &wear{"mmcblk0", 10, "normal"}, ""},
		"used":      {"0x03 0x09\n", "0x02\n", &wear{"mmcblk0", 90, "warning"}, "80 %"},
		"worn out":  {"0x0b 0x01\n", "0x01\n", &wear{"mmcblk0", 110, "normal"}, "worn out"},
		"urgent":    {"0x01 0x01\n", "0x03\n", &wear{"mmcblk0", 10, "urgent"}, "worn out"},
		"undefined": {"0x00 0x00\n", "0x00\n", nil, ""},
		"garbage":   {"\xff -1 0x99999999999\n", "x\n", nil, ""},
	} {
		sys := t.TempDir()
		part := filepath.Join(sys, "devices/mmcblk0/mmcblk0p4")
		for path, text := range map[string]string{"../device/life_time": c.life, "../device/pre_eol_info": c.eol, "partition": "4\n"} {
			writeFile(t, filepath.Join(part, path), text)
		}
		got := readWear(part)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if w := got.worn(); (w == "") != (c.words == "") || !strings.Contains(w, c.words) {
			t.Errorf("%s: %q", name, w)
		}
	}
	if w := readWear(t.TempDir()); w != nil {
		t.Errorf("of a disk that tells nothing: %+v", w)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestObservationOfCapturesStatus(t *testing.T) {
	p := peers.Peer{Program: "capture", Answered: time.Now()}
	text := `{"live": true, "input": {"levels": {"momentary_lufs": -23.5, "true_peak_dbtp": [-9, -4], "silent": true}, "picture": {"black": true}}}`
	if err := json.Unmarshal([]byte(text), &p.Status.Detail); err != nil {
		t.Fatal(err)
	}
	want := recording.Observation{Momentary: -23.5, TruePeak: -4, Silent: true, Black: true}
	if o, ok := observation(p); !ok || o != want {
		t.Errorf("%+v, %v", o, ok)
	}
	var _ = level.Values{} // whose field names these are
	p.Error = "gone"
	if _, ok := observation(p); ok {
		t.Error("took what a program said that doesn't answer any more")
	}
	if _, ok := observation(peers.Peer{Answered: time.Now(), Status: metrics.Status{Detail: "words"}}); ok {
		t.Error("took words for measurements")
	}
}

func TestSwitch(t *testing.T) {
	rec, err := recording.New(recording.Config{Dir: t.TempDir(), Name: "box1"})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	r := &recorder{rec: rec, reporter: metrics.New("record", "box1")}
	for _, c := range []struct {
		method, body string
		code         int
		answer       string
	}{
		{"GET", "", 200, `{"on":true}`},
		{"PUT", `{"on": false}`, 200, `{"on":false}`},
		{"GET", "", 200, `{"on":false}`},
		{"PUT", `{}`, 400, `send {"on": true}`},
		{"PUT", `{"off": true}`, 400, `send {"on": true}`},
		{"PUT", `{"on": true}`, 200, `{"on":true}`},
	} {
		q := httptest.NewRequest(c.method, "http://127.0.0.1/api/recording", strings.NewReader(c.body))
		w := httptest.NewRecorder()
		r.handler().ServeHTTP(w, q)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s %s: %d %s", c.method, c.body, w.Code, w.Body)
		}
	}
	q := httptest.NewRequest("PUT", "http://127.0.0.1/api/recording", strings.NewReader(`{"on": false}`))
	q.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, q)
	if w.Code != http.StatusForbidden || rec.Status().Off {
		t.Errorf("another site's page switched it: %d", w.Code)
	}
}

func TestPlaceFollowsTheDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	disk := t.TempDir()
	if got := place(disk, "/perm/recordings"); got != "/perm/recordings" {
		t.Errorf("a folder is no disk: %s", got)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	if got := place(disk, "/perm/recordings"); got != filepath.Join(disk, "recordings") {
		t.Errorf("with a disk: %s", got)
	}
	clk := clock.NewHeld(0)
	done := make(chan error)
	go func() { done <- watchDisk(t.Context(), clk, disk, "/perm/recordings") }()
	if _, err := clk.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := clk.Waited(t.Context()); err != nil { // it has looked and found nothing new
		t.Fatal(err)
	}
	if err := unix.Unmount(disk, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := clk.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, errMoved) {
		t.Error(err)
	}
}

// TestNamesOfADisk: trouble of a card is told under four names.
func TestNamesOfADisk(t *testing.T) {
	dir := t.TempDir()
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		t.Fatal(err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))
	for path, want := range map[string]string{
		"mmcblk0/mmcblk0p4": "mmcblk0p4 mmcblk0 mmc0", "nvme1n1/nvme1n1p2": "nvme1n1p2 nvme1n1 nvme1", "sda/sda1": "sda1 sda", "": "",
	} {
		sys := t.TempDir()
		if path != "" {
			device := filepath.Join(sys, "devices", path)
			writeFile(t, filepath.Join(device, "partition"), "1\n")
			writeFile(t, filepath.Join(sys, "dev/block/none"), "")
			if err := os.Symlink(device, filepath.Join(sys, "dev/block", number)); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(namesOf(sys, filepath.Join(dir, "not there yet")), " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestWhenOfARecord(t *testing.T) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	at := when(fmt.Appendf(nil, "3,900,%d,-", now.Nano()/1000-1_500_000))
	if d := time.Since(at) - 1500*time.Millisecond; d < -time.Second || d > time.Second {
		t.Errorf("a record of 1.5 s ago is from %v ago", time.Since(at))
	}
	if d := time.Since(when([]byte("garbage"))); d > time.Second {
		t.Errorf("a record without a time is from %v ago", d)
	}
}

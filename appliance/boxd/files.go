package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/loopback"
	"github.com/openvideobox/videobox/internal/recording"
)

// files serves what record has written, to those who have the credentials, and
// takes word of what has been copied.
type files struct {
	dirs []string // files are in dir/name; those that aren't there hold none
	name string
	lock *lock
}

func (f *files) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /recordings/{$}", f.list)
	mux.HandleFunc("GET /recordings/{name}/{file}", f.file)
	mux.HandleFunc("DELETE /recordings/{name}/{file}", f.delete)
	mux.HandleFunc("POST /recordings/{name}/acknowledge", f.acknowledge)
	// A browser that knows the password must not be made to use it by another page.
	return f.lock.behind(http.NewCrossOriginProtection().Handler(mux))
}

// all is what is recorded in all places, oldest first.
func (f *files) all() (list []recording.Entry, err error) {
	for _, dir := range f.dirs {
		entries, e := recording.List(recording.Disk{}, dir, f.name)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		list = append(list, entries...)
	}
	slices.SortStableFunc(list, func(a, b recording.Entry) int { return a.Start.Compare(b.Start) })
	if len(list) > 0 {
		return list, nil // one disk that fails must not hide another
	}
	return list, err
}

// list answers JSON to programs and a page to people. With from and to it is
// the stream of that time.
func (f *files) list(w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); q.Has("from") || q.Has("to") {
		f.cut(w, r, q.Get("from"), q.Get("to"))
		return
	}
	entries, err := f.all()
	if err != nil {
		http.Error(w, "The recordings cannot be listed: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if wantsHTML(r) {
		f.servePage(w, r, entries, http.StatusOK, "")
		return
	}
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		Name       string            `json:"name"`
		Recordings []recording.Entry `json:"recordings"`
	}{f.name, entries})
}

func wantsHTML(r *http.Request) bool {
	if q := r.URL.Query().Get("format"); q != "" {
		return q == "html"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// timeForms are how a time may be written in from and to.
const timeForms = "2027-01-30T10:00:00Z, 2027-01-30T11:00:00+01:00 or seconds since 1970"

// readTime takes RFC 3339 or Unix seconds. A form of a page leaves out the zone,
// which is then UTC.
func readTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec >= 0 && sec < 1<<33 {
		return time.Unix(0, int64(sec*1e9)).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%.40q is no time; write %s", s, timeForms)
}

// cut serves one span of time as one transport stream.
func (f *files) cut(w http.ResponseWriter, r *http.Request, from, to string) {
	start, err := readTime(from)
	end, err2 := readTime(to)
	if err := errors.Join(err, err2); err != nil {
		f.refuse(w, r, http.StatusBadRequest, "Both from and to are needed: "+err.Error())
		return
	}
	if !end.After(start) {
		f.refuse(w, r, http.StatusBadRequest, "The end must be after the start.")
		return
	}
	p, err := f.find(start, end)
	switch {
	case errors.Is(err, recording.ErrNothing):
		f.refuse(w, r, http.StatusNotFound, "Nothing is recorded of that time.")
		return
	case err != nil:
		http.Error(w, "The recording cannot be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer p.Close()
	h := w.Header()
	h.Set("Content-Type", "video/mp2t")
	h.Set("Content-Length", strconv.FormatInt(p.Size, 10))
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.name+"-"+p.Start.UTC().Format("20060102150405")+"-cut.ts"))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, p) // a client that is gone needs no answer
	}
}

// find takes the place that has something of the time: a recording that moved
// to another disk in the middle of it comes from the one with more.
func (f *files) find(start, end time.Time) (best *recording.Piece, err error) {
	for _, dir := range f.dirs {
		p, e := recording.Cut(recording.Disk{}, dir, f.name, start, end)
		if e != nil {
			if !errors.Is(err, recording.ErrNothing) || err == nil {
				err = e
			}
			continue
		}
		if best != nil && best.Size >= p.Size {
			p.Close()
			continue
		}
		if best != nil {
			best.Close()
		}
		best = p
	}
	if best != nil {
		return best, nil
	}
	return nil, err
}

// acknowledge notes by their hashes which files somebody has a copy of.
func (f *files) acknowledge(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SHA256 []string `json:"sha256"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || len(body.SHA256) == 0 || r.PathValue("name") != f.name {
		http.Error(w, fmt.Sprintf(`Send {"sha256": ["…"]} with the hashes of the files you have, as the list shows them, to /recordings/%s/acknowledge.`, f.name), http.StatusBadRequest)
		return
	}
	done := []string{}
	unknown := body.SHA256
	for _, dir := range f.dirs {
		if len(unknown) == 0 {
			break
		}
		names, err := recording.Acknowledge(recording.Disk{}, dir, f.name, unknown, time.Now())
		if err != nil && !errors.Is(err, recording.ErrUnknownHash) {
			http.Error(w, "The acknowledgement cannot be kept: "+err.Error(), http.StatusInternalServerError)
			return
		}
		done = append(done, names...)
		unknown = f.stillUnknown(unknown)
	}
	if len(unknown) > 0 {
		w.WriteHeader(http.StatusConflict)
	}
	loopback.WriteJSON(w, map[string][]string{"acknowledged": done, "unknown": append([]string{}, unknown...)})
}

// stillUnknown are hashes that no acknowledged file has.
func (f *files) stillUnknown(sums []string) (left []string) {
	list, _ := f.all()
	for _, sum := range sums {
		if !slices.ContainsFunc(list, func(e recording.Entry) bool { return e.SHA256 == sum && !e.Acknowledged.IsZero() }) {
			left = append(left, sum)
		}
	}
	return left
}

// delete removes a file; one that nobody has acknowledged only with force=1.
func (f *files) delete(w http.ResponseWriter, r *http.Request) {
	name, file := r.PathValue("name"), r.PathValue("file")
	err := error(fs.ErrNotExist)
	if name == f.name && recording.IsRecording(file) {
		for _, dir := range f.dirs {
			if err = recording.Delete(recording.Disk{}, dir, f.name, file, r.URL.Query().Get("force") == "1"); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "There is no such recording.", http.StatusNotFound)
	case errors.Is(err, recording.ErrNotAcknowledged):
		http.Error(w, "Nobody has acknowledged a copy of it; ?force=1 deletes it nevertheless.", http.StatusConflict)
	default:
		http.Error(w, "It is not deleted: "+err.Error(), http.StatusConflict)
	}
}

// file serves a recording or the index, in ranges if asked. Nothing else in the
// folders, and nothing outside them, can be named.
func (f *files) file(w http.ResponseWriter, r *http.Request) {
	name, file := r.PathValue("name"), r.PathValue("file")
	index := file == recording.IndexName(f.name)
	if name != f.name || !index && !recording.IsRecording(file) {
		http.Error(w, "There is no such recording.", http.StatusNotFound)
		return
	}
	err := error(fs.ErrNotExist)
	for _, dir := range f.dirs {
		var root *os.Root
		if root, err = os.OpenRoot(dir); err == nil {
			err = serveFrom(root, w, r, filepath.Join(name, file), index)
			root.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "There is no such recording.", http.StatusNotFound)
	case err != nil:
		http.Error(w, "The recording cannot be read: "+err.Error(), http.StatusInternalServerError)
	}
}

func serveFrom(root *os.Root, w http.ResponseWriter, r *http.Request, path string, index bool) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "video/mp2t")
	if index {
		w.Header().Set("Content-Type", "application/jsonl")
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/openvideobox/videobox/internal/recording"
)

// files serves what record has written, to those who have the credentials.
type files struct {
	dir, name string // files are in dir/name
	lock      *lock
}

func (f *files) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /recordings/{$}", f.list)
	mux.HandleFunc("GET /recordings/{name}/{file}", f.file)
	return f.lock.behind(mux)
}

// list answers JSON to programs and a page to people.
func (f *files) list(w http.ResponseWriter, r *http.Request) {
	entries, err := recording.List(recording.Disk{}, f.dir, f.name)
	if err != nil {
		http.Error(w, "The recordings cannot be listed: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Vary", "Accept")
	if !wantsHTML(r) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(struct {
			Name       string            `json:"name"`
			Recordings []recording.Entry `json:"recordings"`
		}{f.name, entries})
		return
	}
	slices.Reverse(entries) // newest first
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.ExecuteTemplate(w, "recordings.html", map[string]any{"Name": f.name, "Recordings": entries})
}

func wantsHTML(r *http.Request) bool {
	if q := r.URL.Query().Get("format"); q != "" {
		return q == "html"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// file serves a recording or the index, in ranges if asked. Nothing else in the
// folder, and nothing outside it, can be named.
func (f *files) file(w http.ResponseWriter, r *http.Request) {
	name, file := r.PathValue("name"), r.PathValue("file")
	index := file == recording.IndexName(f.name)
	if name != f.name || !index && !recording.IsRecording(file) {
		http.Error(w, "There is no such recording.", http.StatusNotFound)
		return
	}
	root, err := os.OpenRoot(f.dir)
	if err == nil {
		defer root.Close()
		err = serveFrom(root, w, r, name+"/"+file, index)
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

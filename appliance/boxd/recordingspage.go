package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/openvideobox/videobox/internal/recording"
)

// maxShown is how many files the page shows unless it is asked for all: two
// days. The JSON has all of them.
const maxShown = 300

// recordingsPage is what the page of the recordings shows. The page's script
// asks for it again now and then, and puts in the rows that have changed.
type recordingsPage struct {
	Name     string
	Problem  string // what a form has asked for in vain
	From, To string // that the form starts with
	Summary  string
	Shown    []recording.Entry // newest first
	Older    int               // not shown
}

// servePage shows entries, oldest first. A problem is of the form: code goes
// with it.
func (f *files) servePage(w http.ResponseWriter, r *http.Request, entries []recording.Entry, code int, problem string) {
	p := recordingsPage{Name: f.name, Problem: problem, Summary: summary(entries)}
	entries = slices.Clone(entries)
	slices.Reverse(entries)
	p.Shown = entries
	if len(entries) > maxShown && !r.URL.Query().Has("all") {
		p.Shown, p.Older = entries[:maxShown], len(entries)-maxShown
	}
	if len(entries) > 0 { // the form starts with what there is
		const form = "2006-01-02T15:04:05"
		p.From, p.To = entries[0].Start.UTC().Format(form), entries[0].End.UTC().Add(time.Second).Format(form) // no part of a second is lost
	}
	if q := r.URL.Query(); problem != "" {
		p.From, p.To = q.Get("from"), q.Get("to")
	}
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_ = page.ExecuteTemplate(w, "recordings.html", p)
}

// refuse says what is wrong with a form's wish, on the page to people.
func (f *files) refuse(w http.ResponseWriter, r *http.Request, code int, problem string) {
	if entries, err := f.all(); err == nil && wantsHTML(r) {
		f.servePage(w, r, entries, code, problem)
		return
	}
	http.Error(w, problem, code)
}

// summary says how much there is, and what nobody has a copy of.
func summary(entries []recording.Entry) string {
	var bytes int64
	alone := 0
	for _, e := range entries {
		bytes += e.Bytes
		if e.Acknowledged.IsZero() {
			alone++
		}
	}
	switch s := fmt.Sprintf("%d files, %s", len(entries), size(bytes)); {
	case len(entries) == 0:
		return "Nothing has been recorded yet."
	case len(entries) == 1:
		return "One file, " + size(bytes) + "."
	case alone == 0:
		return s + ". Somebody has a copy of each."
	default:
		return fmt.Sprintf("%s. Nobody has said to have a copy of %d of them.", s, alone)
	}
}

package logs

import (
	"bufio"
	"fmt"
	"html"
	"net/http"
	"slices"
)

// Handler serves /log/: a list of what there is, and boot.txt, previous.txt and
// all.txt, each also for one program: ?program=capture.
func (r *Ring) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log/{$}", r.serveIndex)
	mux.HandleFunc("GET /log/{file}", r.serveText)
	return mux
}

func (r *Ring) serveText(w http.ResponseWriter, req *http.Request) {
	want, program := "", req.FormValue("program")
	switch req.PathValue("file") {
	case "boot.txt":
		want = r.boot
	case "previous.txt":
		if want = r.previousBoot(); want == "" {
			http.Error(w, "The log holds no boot before this one.", http.StatusNotFound)
			return
		}
	case "all.txt":
	default:
		http.Error(w, "There are boot.txt, previous.txt and all.txt.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	out := bufio.NewWriter(w)
	defer out.Flush()
	_ = r.each(func(boot, p, line string) {
		if (want == "" || boot == want) && (program == "" || p == program) {
			_, _ = out.WriteString(line + "\n")
		}
	})
}

func (r *Ring) previousBoot() (previous string) {
	_ = r.each(func(boot, _, _ string) {
		if boot != r.boot {
			previous = boot
		}
	})
	return previous
}

func (r *Ring) serveIndex(w http.ResponseWriter, _ *http.Request) {
	var programs []string
	boots := map[string]bool{}
	_ = r.each(func(boot, p, _ string) {
		boots[boot] = true
		if !slices.Contains(programs, p) && p != bootName && len(programs) < 100 {
			programs = append(programs, p)
		}
	})
	slices.Sort(programs)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Log</title>"+
		"<h1>Log</h1><p><a href=\"/\">The box</a></p><ul><li><a href=boot.txt>since it was started</a>"+
		"<li><a href=previous.txt>before that</a><li><a href=all.txt>all of it</a> (%d starts)</ul><h2>By program, since it was started</h2><ul>", len(boots))
	for _, p := range programs {
		e := html.EscapeString(p)
		fmt.Fprintf(w, "<li><a href=\"boot.txt?program=%s\">%s</a>", e, e)
	}
	fmt.Fprintln(w, "</ul></html>")
}

package notices

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// ours is the licence of the programs themselves.
const ours = "GPL-3.0"

// page is what both forms show.
type page struct {
	List  []Notice
	Texts []text
}

type text struct{ Key, Text string }

// newPage gathers each licence's wording once, in order of first use.
func newPage(list []Notice) page {
	p := page{List: list, Texts: []text{{ours, Text(ours)}}}
	seen := []string{ours, ""}
	for _, n := range list {
		if !slices.Contains(seen, n.Text) {
			seen = append(seen, n.Text)
			p.Texts = append(p.Texts, text{n.Text, Text(n.Text)})
		}
	}
	return p
}

var htmlPage = template.Must(template.New("licenses").Funcs(template.FuncMap{"lines": func(s string) []string {
	return strings.Split(s, "\n")
}}).Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Licences</title>
<link rel="icon" href="data:,">
<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
dt { font-weight: bold; margin-top: 1em }
dd { margin: 0 }
pre { white-space: pre-wrap; font-size: 13px; line-height: 1.35 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } a { color: #8bf } }
</style>
<h1>Licences</h1>
<p>videobox is free software: you may use, change and pass it on under the
<a href="#GPL-3.0">GNU General Public License</a>, version 3 or later. It stands on the work of others.
<a href="?format=text">All of this as text</a></p>
<dl>
{{range .List}}<dt>{{.Name}}{{with .Version}} {{.}}{{end}}</dt>
<dd>{{.Use}}</dd>
{{range lines .Copyright}}<dd>{{.}}</dd>
{{end}}<dd>{{if .Text}}<a href="#{{.Text}}">{{.Licence}}</a>{{else}}{{.Licence}}{{end}} · <a href="{{.Source}}">{{.Source}}</a></dd>
{{with .Extra}}<dd><pre>{{.}}</pre></dd>
{{end}}{{end}}</dl>
{{range .Texts}}<h2 id="{{.Key}}">{{.Key}}</h2>
<pre>{{.Text}}</pre>
{{end}}</html>
`))

func writeText(w io.Writer, p page) {
	fmt.Fprintf(w, "videobox is free software under the GNU General Public License, version 3 or\nlater (%s below). It stands on the work of others.\n", ours)
	for _, n := range p.List {
		fmt.Fprintf(w, "\n%s\n  %s\n  %s\n  %s, %s\n",
			strings.TrimSpace(n.Name+" "+n.Version), n.Use, strings.ReplaceAll(n.Copyright, "\n", "\n  "), n.Licence, n.Source)
		if n.Text != "" && n.Text != n.Licence {
			fmt.Fprintf(w, "  text: %s\n", n.Text)
		}
		if n.Extra != "" {
			fmt.Fprintf(w, "\n    %s\n", strings.ReplaceAll(strings.TrimSpace(n.Extra), "\n", "\n    "))
		}
	}
	for _, t := range p.Texts {
		fmt.Fprintf(w, "\n%s\n%s\n\n%s", strings.Repeat("=", 76), t.Key, t.Text)
	}
}

// rendered is both forms of this program's page; neither changes while it runs.
var rendered = sync.OnceValues(func() (html, plain []byte) {
	p := newPage(List())
	var h, t bytes.Buffer
	if err := htmlPage.Execute(&h, p); err != nil {
		panic(err) // the template is ours, and a test runs it
	}
	writeText(&t, p)
	return h.Bytes(), t.Bytes()
})

// Handler serves this program's notices as HTML, and with ?format=text as plain
// text.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		html, plain := rendered()
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.URL.Query().Get("format") == "text" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Write(plain)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html)
	})
}

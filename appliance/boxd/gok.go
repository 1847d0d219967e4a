package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"
)

// initPaths are all that init's page is reached by from the network: what `gok
// update` asks for (gokrazy/updater, and packerupdate.go of gokrazy/tools).
// The rest of it, which restarts programs, runs others and shows the host, is
// on its unix socket only.
var initPaths = []string{
	"GET /update/features",
	"PUT /update/root", "PUT /update/boot", "PUT /update/mbr",
	"POST /update/switch", "POST /update/testboot",
	"POST /reboot",
}

// gokFacts are what gok reads at / as JSON: which image runs, to see that the
// new one does, and which EEPROM, to leave a current one alone.
type gokFacts struct {
	BuildTimestamp string
	EEPROM         json.RawMessage `json:",omitempty"`
}

// serveRoot is the page, and for gok, which asks for nothing but JSON, two facts
// of init's page behind the credentials.
func (s *server) serveRoot(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") != "application/json" {
		s.servePage(w, r)
		return
	}
	s.files.lock.behind(gokStatus(initSocket)).ServeHTTP(w, r)
}

func gokStatus(socket string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, err := askInit(r.Context(), socket)
		if err != nil {
			http.Error(w, "The system does not answer; only a videobox image has one: "+err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(facts)
	})
}

func askInit(ctx context.Context, socket string) (facts gokFacts, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://init/", nil)
	if err != nil {
		return facts, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return facts, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&facts)
	return facts, err
}

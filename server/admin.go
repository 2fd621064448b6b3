package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// admin is the HTTP server for those who run this one.
type admin struct {
	listener net.Listener
	server   *http.Server
}

// listenAdmin starts the admin endpoints.
//
//	/healthz  200 while the process runs
//	/readyz   200 while a new client would be taken, else 503 and why
//	/stats    the counters of server and store, what the process costs, where it runs and what it is, as JSON
//	/debug/pprof/  profiles of the running process, of 60 s at most
//	/backup   a backup of the store, if it can make one; cut off if it fails
//
// Who asks must know this machine by a name of its own: see hostGuard.
func listenAdmin(srv *Server, addr string) (*admin, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin listen on %s: %w: choose another --admin address, or \"\" for none", addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", srv.serveReady)
	mux.HandleFunc("GET /stats", srv.serveStats)
	mux.HandleFunc("GET /backup", srv.serveBackup)
	mux.HandleFunc("GET /debug/pprof/", briefly(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", briefly(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", briefly(pprof.Trace))
	// Without a WriteTimeout, which would cut long answers: the connections look after their readers.
	limited := newAdminListener(l, srv.log, adminStall)
	a := &admin{listener: limited, server: &http.Server{
		Handler:           hostGuard{srv.cfg.AdminHosts, mux},
		ReadHeaderTimeout: adminHeaderTime, ReadTimeout: 2 * adminHeaderTime, IdleTimeout: adminIdle,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(srv.log.Named("admin")),
		DisableGeneralOptionsHandler: true, // it would answer any host
	}}
	go func() { _ = a.server.Serve(limited) }() // ends with close
	return a, nil
}

// How long clients of the admin endpoints may take. Tests are less patient.
var (
	adminHeaderTime = 5 * time.Second  // until a request is there
	adminIdle       = 15 * time.Second // between two requests
	adminStall      = 30 * time.Second // without taking anything of an answer
)

// maxProfile bounds a profile, which costs time and, as a trace, much memory.
const maxProfile = 60 * time.Second

// briefly refuses profiles that are longer than maxProfile.
func briefly(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if text := r.FormValue("seconds"); text != "" {
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil || !(seconds > 0 && seconds <= maxProfile.Seconds()) {
				http.Error(w, fmt.Sprintf("seconds must be more than 0 and at most %.0f", maxProfile.Seconds()), http.StatusBadRequest)
				return
			}
		}
		profile(w, r)
	}
}

func (a *admin) addr() string { return a.listener.Addr().String() }

func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
}

func (srv *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	why := ""
	select {
	case <-srv.booted:
	default:
		why = "starting"
	}
	switch {
	case srv.draining.Load():
		why = "draining"
	case !srv.storeHealthy():
		why = "the store takes no writes"
	case srv.stats.Conns.Load() >= int64(srv.cfg.MaxConns):
		why = "the connection limit is reached"
	}
	if why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (srv *Server) serveStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	stats := map[string]any{
		"server": srv.stats.Values(), "process": readProcess(), "machine": readMachine(), "about": srv.cfg.About,
	}
	if srv.cfg.StoreStats != nil {
		stats["store"] = srv.cfg.StoreStats()
	}
	_ = json.NewEncoder(w).Encode(stats)
}

// serveBackup streams a backup. What has been sent cannot be taken back, so a failure cuts the connection, and
// the checksum at the end is missing.
func (srv *Server) serveBackup(w http.ResponseWriter, r *http.Request) {
	store, ok := srv.store.(interface {
		Backup(context.Context, io.Writer) error
	})
	if !ok {
		http.Error(w, "this store cannot be backed up from here", http.StatusNotImplemented)
		return
	}
	if r.Method == http.MethodHead {
		return // a whole backup, for nothing
	}
	if !srv.backingUp.CompareAndSwap(false, true) {
		http.Error(w, "a backup is being made already: wait for it to end", http.StatusConflict)
		return
	}
	defer srv.backingUp.Store(false)
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := store.Backup(r.Context(), w); err != nil {
		srv.log.Error("backup failed", zap.Error(err))
		panic(http.ErrAbortHandler)
	}
}

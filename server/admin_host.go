package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hostGuard answers only who asks for this machine by a name that nobody else can give away. A browser sends a page's
// script wherever the page's own name points: its owner may point it at 127.0.0.1 (DNS rebinding), and only
// the Host header then tells the difference.
type hostGuard struct {
	hosts []string // that are answered beside loopback, canonical
	next  http.Handler
}

// ServeHTTP refuses other hosts, and requests that a page of another host has made.
func (g hostGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.answers(r.Host) {
		http.Error(w, fmt.Sprintf("the host %q is not answered here: ask for localhost or 127.0.0.1, "+
			"or start the server with --admin-host and this name", r.Host), http.StatusForbidden)
		return
	}
	for _, origin := range r.Header["Origin"] {
		if !g.trusts(origin) {
			http.Error(w, fmt.Sprintf("pages of %q may not ask here", origin), http.StatusForbidden)
			return
		}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // an image or a form has no Origin
		http.Error(w, "pages of other sites may not ask here", http.StatusForbidden)
		return
	}
	g.next.ServeHTTP(w, r)
}

// answers reports whether host[:port] is loopback or a configured host.
func (g hostGuard) answers(authority string) bool {
	host := hostOf(authority)
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
		return true
	}
	return host == "localhost" || slices.Contains(g.hosts, host)
}

// trusts reports whether an Origin is a page of a host that is answered.
func (g hostGuard) trusts(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && g.answers(u.Host)
}

// authority is a name, an IPv4 address, or an IPv6 address in brackets and without a zone; then perhaps a port.
var authority = regexp.MustCompile(`^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]*)?$`)

// hostOf returns the host of host[:port] in canonical form, "" if that is malformed.
func hostOf(hostPort string) string {
	parts := authority.FindStringSubmatch(hostPort)
	switch {
	case parts == nil:
		return ""
	case parts[1] != "":
		addr, err := netip.ParseAddr(parts[1])
		if err != nil || !addr.Is6() {
			return ""
		}
		return addr.String()
	}
	return strings.ToLower(parts[2])
}

// canonicalHosts is what hostOf returns for each of the names or addresses.
func canonicalHosts(hosts []string) ([]string, error) {
	all := make([]string, len(hosts))
	for i, h := range hosts {
		if addr, err := netip.ParseAddr(h); err == nil && addr.Is6() {
			h = "[" + h + "]"
		}
		if all[i] = hostOf(h + ":0"); all[i] == "" { // also when it has a port already
			return nil, fmt.Errorf("the admin host %q is not a name or an address, without a port: correct --admin-host", hosts[i])
		}
	}
	return all, nil
}

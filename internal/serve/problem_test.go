package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Whoever answers an error of the API, the toolkit before it too, answers a problem.
func TestProblemOfTheToolkit(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := serveDaemon(t, webConfig(t, fmt.Sprintf("basic_auth_users:\n  alice: %s\n", hash)))
	for path, want := range map[string]string{
		"/api/v1/targets":   "application/problem+json",
		"/api/v1/targets/1": "application/problem+json",
		"/metrics":          "text/plain; charset=utf-8",
	} {
		answer, err := http.Get("http://" + base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusUnauthorized || got != want {
			t.Errorf("%s: %d, %s, want %s", path, answer.StatusCode, got, want)
		}
		if answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s does not say what credentials it takes", path)
		}
		var p problem
		if want == "application/problem+json" {
			if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || p.Status != http.StatusUnauthorized || p.Title != "Unauthorized" {
				t.Errorf("%s: %+v, %v", path, p, err)
			}
		}
	}
}

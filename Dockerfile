# massattach alone, as a static binary: docker build -t massattach .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The commit, which --version says, is read from .git.
RUN CGO_ENABLED=0 go build -ldflags="-s -w" -o /massattach ./cmd/massattach

FROM scratch
COPY --from=build /massattach /massattach
EXPOSE 19847
ENTRYPOINT ["/massattach"]

import "./artifacts.css";
import "./card.css";
import "./panel.css";
